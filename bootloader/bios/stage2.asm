; stage2: stands for illumos' boot/gptzfsboot, which pmbr loads from the "boot" partition to 0x7c00, the drive in dl.
;
; The contract with whoever writes the image: somewhere in the first 32 KiB, at a multiple of 4, is a multiboot header
; (magic, flags 0x00010000, sum 0); the 64 bits 24 bytes behind its start (bss_end_addr and entry_addr) are
; overwritten with the first sector of the root partition.
;
; It shows that all of its own sectors are in memory, which sector it was told, and what FAT32 file system begins
; there.  The header stands behind a decoy (a magic whose sum is not 0), and the file does not end on a sector, so that
; a writer who searches carelessly or rounds down is found out.
;
; nasm -f bin
        bits 16
BOOT    equ 0x500                       ; where the root partition's first sector is read to
LABEL   equ BOOT + 0x47                 ; in a FAT32 boot sector: the label, 11 bytes,
TYPE    equ BOOT + 0x52                 ; and the type, 8 bytes
MAGIC   equ 0x1badb002
FLAGS   equ 0x00010000
        org 0x7c00
start:  jmp 0:code
        align 4, db 0
        dd MAGIC, FLAGS, 0              ; the decoy
        times 0x1fc-($-$$) db 0
header: dd MAGIC, FLAGS, -(MAGIC + FLAGS)
        dd header, start, 0
root:   dd -1, -1

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
        mov si, m_root
        call puts
        mov eax, [root+4]
        mov [packet.lba+4], eax
        call hex32
        mov eax, [root]
        mov [packet.lba], eax
        call hex32

        mov bx, filler + 508            ; each filler sector ends in its number
        mov eax, 1
.check: cmp [bx], eax
        mov si, m_short
        jne fail
        inc eax
        add bx, 512
        cmp bx, tail
        jb .check
        cmp dword [tail], 'TAIL'
        jne fail
        mov si, m_all
        call puts

        mov si, packet
        mov dl, [drive]
        mov ah, 0x42
        int 0x13
        mov si, m_unread
        jc fail
        mov si, m_nofat
        cmp word [BOOT+510], 0xaa55
        jne fail
        cmp dword [TYPE], 'FAT3'
        jne fail
        mov byte [TYPE], 0
        mov si, m_label
        call puts
        mov si, LABEL
        call puts
        mov si, m_end
        call puts
        mov al, 0x11                    ; status (0x11 << 1) | 1 = 35
        jmp leave
fail:   push si
        mov si, m_fail
        call puts
        pop si
        call puts
        mov si, m_line
        call puts
        mov al, 0x12                    ; status 37
leave:  mov dx, 0xf4                    ; ends QEMU (isa-debug-exit)
        out dx, al
.halt:  hlt
        jmp .halt
%include "print16.inc"
m_drive  db "STAGE2-STANDIN drive=", 0
m_root   db " root=", 0
m_all    db " loaded=all", 0
m_label  db " label=[", 0
m_end    db "]", 13, 10, "STAGE2-STANDIN-END", 13, 10, 0
m_fail   db 13, 10, "STAGE2-STANDIN-FAIL ", 0
m_short  db "not all of stage 2 was loaded", 0
m_unread db "no sector can be read there", 0
m_nofat  db "no FAT32 file system begins there", 0
m_line   db 13, 10, 0
        align 4, db 0
packet: db 16, 0                        ; INT 13h disk address packet: one sector to BOOT
        dw 1, BOOT, 0
.lba:   dq 0
drive:  db 0
        times 4*512-($-$$) db 0
filler:
%assign sector 1
%rep 5
        times 508 db 0xcc
        dd sector
    %assign sector sector+1
%endrep
        times 200 db 0xcc
tail:   db 'TAIL'
