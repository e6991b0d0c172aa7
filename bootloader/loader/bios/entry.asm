; boot/loader: the boot loader stand-in under BIOS.  This is its start: from real mode to 32-bit protected mode, where
; the C part runs (included at the end), and back for each call of the BIOS.
;
; gptzfsboot, cdboot and isoboot load it to 0x1000:0 and enter it there with the drive in dl and in eax the first sector
; of the root partition; 0 on a CD, -1 on a disk that is an ISO 9660 volume.
;
; Conventional memory: 0x10000 this program, 0x40000 a buffer of 64 KiB for reads from disks, stack below 0x90000.
;
; nasm -f bin
SEGMENT_ equ 0x1000
BASE    equ SEGMENT_ * 16
C_PART  equ 0x400                       ; offset; loader.ld has it, too
REAL_STACK equ 0x7c00
STACK   equ 0x90000
CODE32  equ 8                           ; selectors
DATA32  equ 16
CODE16  equ 24
DATA16  equ 32
        bits 16
        org 0
start:  jmp real
        align 8, db 0x90
        bits 32
        jmp bios                        ; 0x10008: what the C part calls
        align 16, db 0x90
        times 16 db 0                   ; 0x10010: INT 13h disk address packet, which the C part fills in
        bits 16
real:   cli
        mov bx, cs
        mov ds, bx
        mov [root], eax
        mov [drive], dl
        in al, 0x92                     ; A20 on
        or al, 2
        and al, 0xfe
        out 0x92, al
        lgdt [descriptors]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp dword CODE32:BASE+main
        bits 32
main:   mov eax, DATA32
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov esp, STACK
        cld
        push dword [BASE+root]
        movzx eax, byte [BASE+drive]
        push eax
        call c_part                     ; (drive, root); does not return

; void bios(struct registers *): the registers, and the number of the interrupt behind them; see main.c.
bios:   pushad
        mov esi, [esp+36]
        mov edi, BASE+registers
        mov ecx, REGISTERS
        rep movsd
        mov [BASE+stack], esp
        jmp CODE16:.narrow
        bits 16
.narrow:mov ax, DATA16                  ; limits of 64 KiB, which real mode keeps
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov eax, cr0
        and al, 0xfe
        mov cr0, eax
        jmp SEGMENT_:.real
.real:  mov ax, SEGMENT_
        mov ds, ax
        lidt [vectors]
        xor ax, ax
        mov es, ax
        mov ss, ax
        mov sp, REAL_STACK
        mov al, [registers.number]
        mov [.int+1], al
        mov eax, [registers]
        mov ebx, [registers+4]
        mov ecx, [registers+8]
        mov edx, [registers+12]
        mov esi, [registers+16]
        sti
.int:   int 0
        cli
        push SEGMENT_
        pop ds                          ; (these leave the carry flag alone)
        mov [registers], eax
        mov [registers+4], ebx
        mov [registers+8], ecx
        mov [registers+12], edx
        sbb eax, eax
        mov [registers.carry], eax
        lgdt [descriptors]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp dword CODE32:BASE+.wide
        bits 32
.wide:  cld
        mov eax, DATA32
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov esp, [BASE+stack]
        mov esi, BASE+registers
        mov edi, [esp+36]
        mov ecx, REGISTERS
        rep movsd
        popad
        ret

        align 8, db 0
table:  dq 0
        dq 0x00cf9a000000ffff           ; code, 32 bits, all memory
        dq 0x00cf92000000ffff           ; data, likewise
        dq 0x00009a000000ffff | BASE << 16 ; code, 16 bits, this program
        dq 0x000092000000ffff           ; data, 16 bits, the first 64 KiB
descriptors:
        dw $-table-1
        dd BASE+table
vectors:dw 0x3ff                        ; the interrupt vectors of real mode
        dd 0
root:   dd 0
stack:  dd 0
drive:  db 0
        align 4, db 0
registers: times 5 dd 0                 ; eax, ebx, ecx, edx, esi
.number:dd 0
.carry: dd 0
REGISTERS equ ($-registers)/4
        times C_PART-($-$$) db 0
c_part: incbin "loader.bin"
