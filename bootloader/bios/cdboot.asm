; cdboot: stands for illumos' boot/cdboot, the El Torito BIOS entry (no emulation), loaded to 0x7c00, the drive in dl.
;
; The contract with whoever writes the image: bytes 8..23 of the file are the boot information table (sectors of the
; primary volume descriptor and of this file, its length in bytes, and the sum of its 32-bit words from byte 64 on);
; the whole file is loaded; and the primary descriptor's tree has /BOOT/LOADER or /boot/loader (version and trailing
; dot are dropped).
;
; It compares the table with what is on the CD, its own file read back included, shows where the loader is, and starts
; it.  The file is longer than a CD sector, so that an entry that asks for too little of it is found out.
;
; nasm -f bin
        bits 16
BUFFER  equ 0xb000                      ; one sector of 2048 bytes, behind this program
LOADER  equ 0x1000                      ; segment where the loader goes
LIMIT   equ 192 * 1024                  ; bytes that it may have there (illumos': 512 KiB)
        org 0x7c00
start:  jmp 0:code
        times 8-($-$$) db 0
table:
.pvd:   dd 0
.file:  dd 0
.length:dd 0
.sum:   dd 0
        times 64-($-$$) db 0

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
        mov si, m_pvd
        mov eax, [table.pvd]
        call field
        mov si, m_file
        mov eax, [table.file]
        call field
        mov si, m_length
        mov eax, [table.length]
        call field
        mov si, m_sum
        mov eax, [table.sum]
        call field
        mov si, m_short                 ; did the BIOS load all of the file?
        cmp dword [tail], 'TAIL'
        jne fail

        mov eax, [table.file]           ; read the file back and add up its words behind the table
        mov ecx, [table.length]
        shr ecx, 2                      ; (the length of this one is a multiple of 4)
        sub ecx, 16
        xor ebx, ebx
        mov di, BUFFER + 64
.sector:call read
.word:  add ebx, [di]
        add di, 4
        dec ecx
        jz .summed
        cmp di, BUFFER + 2048
        jb .word
        mov di, BUFFER
        inc eax
        jmp .sector
.summed:mov eax, ebx
        mov si, m_found
        call field
        mov si, m_differs
        cmp ebx, [table.sum]
        jne fail

        mov eax, [table.pvd]
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
        call field
        mov si, m_loader_length
        mov eax, edx
        call field
        mov si, m_large
        cmp eax, LIMIT
        ja fail
        mov si, m_line
        call puts

        mov eax, ecx                    ; load it a sector at a time
        mov bp, LOADER
.load:  mov [packet.segment], bp
        mov word [packet.offset], 0
        call read_there
        inc eax
        add bp, 2048 / 16
        sub edx, 2048
        ja .load
        mov dl, [drive]
        xor eax, eax                    ; a CD
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
field:  call puts                       ; si: " name=", eax: the value
        jmp hex32
read:   mov word [packet.offset], BUFFER ; sector eax to BUFFER; all registers are kept
        mov word [packet.segment], 0
read_there:
        mov [packet.lba], eax
        pushad
        mov si, packet
        mov dl, [drive]
        mov ah, 0x42
        int 0x13
        mov si, m_unread
        jc fail
        popad
        ret
%include "print16.inc"
m_drive   db "CDBOOT-STANDIN drive=", 0
m_pvd     db " pvd=", 0
m_file    db " file=", 0
m_length  db " length=", 0
m_sum     db " sum=", 0
m_found   db " found-sum=", 0
m_volume  db " volume=[", 0
m_loader  db "] loader=", 0
m_loader_length db " loader-length=", 0
m_fail    db 13, 10, "CDBOOT-STANDIN-FAIL ", 0
m_short   db "not all of cdboot was loaded", 0
m_differs db "the sum in the boot information table is wrong", 0
m_nopvd   db "no volume descriptor where the table says", 0
m_none    db "no /BOOT/LOADER and no /boot/loader", 0
m_large   db "the loader is larger than 192 KiB", 0
m_unread  db "a sector cannot be read", 0
m_line    db 13, 10, 0
        align 4, db 0
packet: db 16, 0                        ; INT 13h disk address packet: one sector
        dw 1
.offset:dw 0
.segment: dw 0
.lba:   dq 0
drive:  db 0
        times 3*2048+512-4-($-$$) db 0xcc
tail:   db 'TAIL'
