; isoboot: stands for illumos' boot/isoboot, stage 2 of an ISO image on a disk: pmbr loads it to 0x7c00, the drive in dl.
;
; The contract with whoever writes the image: the disk begins with the ISO 9660 volume, in which pmbr finds this file's
; sectors; all of it is loaded; a multiboot header is in it as in gptzfsboot, but nobody has to patch it; and the primary
; descriptor's tree has /BOOT/LOADER or /boot/loader (version and trailing dot are dropped).
;
; It shows what volume is there and where the loader is, and starts it.  The file does not end on a sector, so that a
; writer who rounds down is found out.
;
; nasm -f bin
        bits 16
BUFFER  equ 0xb000                      ; one sector of 2048 bytes, behind this program
LOADER  equ 0x1000                      ; segment where the loader goes
LIMIT   equ 192 * 1024                  ; bytes that it may have there
MAGIC   equ 0x1badb002
FLAGS   equ 0x00010000
        org 0x7c00
start:  jmp 0:code
        align 4, db 0
header: dd MAGIC, FLAGS, -(MAGIC + FLAGS)
        dd header, start, 0, 0, 0

code:   xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        cld
        mov [drive], dl
        mov si, m_drive
        call puts
        mov al, dl
        call hex8
        mov si, m_short                 ; did pmbr load all of the file?
        cmp dword [tail], 'TAIL'
        jne fail
        mov si, m_all
        call puts

        mov eax, 16
        call read
        mov si, m_nopvd
        cmp dword [BUFFER], 0x30444301  ; type 1, "CD0"
        jne fail
        mov si, m_volume
        call puts
        mov byte [BUFFER+72], 0
        mov si, BUFFER + 40             ; volume identifier
        call puts
        mov eax, [BUFFER+158]           ; root directory record: its sector and length
        mov edx, [BUFFER+166]
        mov bx, n_capitals
        call lookup
        jnc .loader
        mov bx, n_small
        call lookup
        mov si, m_none
        jc fail
.loader:mov eax, ecx
        mov si, m_loader
        call puts
        call hex32
        mov eax, edx
        mov si, m_loader_length
        call puts
        call hex32
        mov si, m_large
        cmp eax, LIMIT
        ja fail
        mov si, m_line
        call puts

        mov eax, ecx                    ; load it a sector of the volume at a time
        mov bp, LOADER
.load:  mov [packet.segment], bp
        mov word [packet.offset], 0
        call read_there
        inc eax
        add bp, 2048 / 16
        sub edx, 2048
        ja .load
        mov dl, [drive]
        mov eax, -1                     ; an ISO 9660 volume on a disk
        jmp LOADER:0
fail:   push si
        mov si, m_fail
        call puts
        pop si
        call puts
        mov si, m_line
        call puts
        mov al, 0x12                    ; status 37
        mov dx, 0xf4                    ; ends QEMU (isa-debug-exit)
        out dx, al
.halt:  hlt
        jmp .halt

%include "iso16.inc"
read:   mov word [packet.offset], BUFFER ; sector eax of the volume to BUFFER; all registers are kept
        mov word [packet.segment], 0
read_there:
        pushad
        xor edx, edx
        shld edx, eax, 2                ; four sectors of the disk each
        shl eax, 2
        mov [packet.lba], eax
        mov [packet.lba+4], edx
        mov si, packet
        mov dl, [drive]
        mov ah, 0x42
        int 0x13
        mov si, m_unread
        jc fail
        popad
        ret
%include "print16.inc"
m_drive   db "ISOBOOT-STANDIN drive=", 0
m_all     db " loaded=all", 0
m_volume  db " volume=[", 0
m_loader  db "] loader=", 0
m_loader_length db " loader-length=", 0
m_fail    db 13, 10, "ISOBOOT-STANDIN-FAIL ", 0
m_short   db "not all of isoboot was loaded", 0
m_nopvd   db "the disk does not begin with an ISO 9660 volume", 0
m_none    db "no /BOOT/LOADER and no /boot/loader", 0
m_large   db "the loader is larger than 192 KiB", 0
m_unread  db "a sector cannot be read", 0
m_line    db 13, 10, 0
        align 4, db 0
packet: db 16, 0                        ; INT 13h disk address packet: one sector of the volume
        dw 4
.offset:dw 0
.segment: dw 0
.lba:   dq 0
drive:  db 0
        times 5*512+100-4-($-$$) db 0xcc
tail:   db 'TAIL'
