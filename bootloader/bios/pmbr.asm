; pmbr: stands for illumos' boot/pmbr, the program in the protective MBR (512 bytes).
;
; It keeps the same contract with whoever writes the image:
;   0x003..0x03d  BIOS parameter block: the writer zeroes it, so there is no code here
;   0x0fa         image version, major and minor (a byte each)
;   0x0fc         size of stage 2 in sectors (16 bits)
;   0x0fe         first sector of stage 2 (64 bits)
;   0x106         UUID of the disk (16 bytes)
;   0x1b8         disk signature; 0x1be partition entries; 0x1fe 55 aa
; It shows the values that were patched in, loads stage 2 to 0x7c00 with INT 13h extensions and enters it with the
; drive in dl.  What cannot work (no stage 2, one that is too large, a read error) ends in "PMBR-STANDIN-FAIL".
;
; nasm -f bin
        bits 16
HOME    equ 0x600                       ; it moves here, out of the way of stage 2
STAGE2  equ 0x7c00
LIMIT   equ (0xa0000 - STAGE2) / 512    ; sectors between there and the end of conventional memory
        org HOME
start:  jmp short move
        nop
        times 0x3e-($-$$) db 0x90
move:   cld
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, HOME
        mov si, 0x7c00
        mov di, HOME
        mov cx, 256
        rep movsw
        jmp 0:main
main:   mov si, m_drive
        call puts
        mov al, dl
        call hex8
        mov si, m_version
        call puts
        mov ax, [version]
        xchg al, ah                     ; the major number is first
        call hex16
        mov si, m_size
        call puts
        mov ax, [size]
        call hex16
        mov si, m_lba
        call puts
        jmp load
%include "print16.inc"
m_drive db "PMBR-STANDIN drive=", 0
        times 0xfa-($-$$) db 0          ; an error here: the first block of code is too long
version:db 1, 1
size:   dw 0
lba:    dq 0
uuid:   times 16 db 0

load:   mov eax, [lba+4]
        mov [packet.lba+4], eax
        call hex32
        mov eax, [lba]
        mov [packet.lba], eax
        call hex32
        mov cx, [size]
        jcxz fail
        cmp cx, LIMIT
        ja fail
.sector:mov si, packet
        mov ah, 0x42
        int 0x13
        jc fail
        inc dword [packet.lba]          ; images end far below sector 2^32
        add word [packet.segment], 512 / 16
        loop .sector
        mov si, m_newline
        call puts
        jmp 0:STAGE2
fail:   mov si, m_fail
        call puts
        mov dx, 0xf4                    ; ends QEMU (isa-debug-exit) with status (0x12 << 1) | 1 = 37
        mov al, 0x12
        out dx, al
.halt:  hlt
        jmp .halt
m_version db " version=", 0
m_size    db " size=", 0
m_lba     db " lba=", 0
m_fail    db 13, 10, "PMBR-STANDIN-FAIL"
m_newline db 13, 10, 0
        align 4, db 0
packet: db 16, 0                        ; INT 13h disk address packet
        dw 1, 0                         ; a sector at a time, offset 0
.segment: dw STAGE2 / 16
.lba:   dq 0
        times 0x1b8-($-$$) db 0         ; an error here: the code runs into the disk signature
        times 510-($-$$) db 0
        db 0x55, 0xaa
