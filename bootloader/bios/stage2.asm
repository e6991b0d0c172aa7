; stage2: stands for illumos' boot/gptzfsboot, which pmbr loads from the "boot" partition to 0x7c00, the drive in dl.
;
; The contract with whoever writes the image: somewhere in the first 32 KiB, at a multiple of 4, is a multiboot header
; (magic, flags 0x00010000, sum 0); the 64 bits 24 bytes behind its start (bss_end_addr and entry_addr) are
; overwritten with the first sector of the root partition.
;
; It shows that all of its own sectors are in memory, which sector it was told, and what FAT32 file system begins
; there; then it loads /boot/loader from that file system and starts it.  The header stands behind a decoy (a magic
; whose sum is not 0), and the file does not end on a sector, so that a writer who searches carelessly or rounds down is
; found out.
;
; nasm -f bin
        bits 16
LOADER  equ 0x1000                      ; segment where the loader goes,
LIMIT   equ 0x4000                      ; and the one that it must not reach
; Fields of a FAT32 boot sector
BOOT    equ 0x1000                      ; where it is read to
PER_CLUSTER equ BOOT + 0x0d             ; sectors, 8 bits
RESERVED equ BOOT + 0x0e                ; sectors before the FATs, 16 bits
FATS    equ BOOT + 0x10                 ; 8 bits
FAT_SIZE equ BOOT + 0x24                ; sectors, 32 bits
ROOT_DIR equ BOOT + 0x2c                ; cluster, 32 bits
LABEL   equ BOOT + 0x47                 ; 11 bytes
TYPE    equ BOOT + 0x52                 ; 8 bytes
FAT     equ 0x1200                      ; where a sector of the FAT is read to,
DIR     equ 0x1400                      ; and one of a directory
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
        call hex32
        mov eax, [root]
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

        xor eax, eax
        mov bx, BOOT
        call read
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

        movzx eax, byte [FATS]          ; the sector of cluster 2
        mul dword [FAT_SIZE]
        movzx edx, word [RESERVED]
        add eax, edx
        mov [data], eax
        mov eax, [ROOT_DIR]
        mov di, n_boot
        call find
        mov di, n_loader
        call find

        mov bp, LOADER
.cluster:
        push eax
        call sector_of
        movzx cx, byte [PER_CLUSTER]
.sector:mov si, m_large
        cmp bp, LIMIT
        jae fail
        mov [packet.segment], bp
        xor bx, bx
        call read
        inc eax
        add bp, 512 / 16
        loop .sector
        mov word [packet.segment], 0
        pop eax
        call next
        jc .cluster
        mov dl, [drive]
        mov eax, [root]
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

; Find the name of 11 bytes at di in the directory whose first cluster is eax: the first cluster of what has it in eax.
; Entries have 32 bytes: name at 0, attributes at 11, the cluster's high half at 20 and low half at 26.
find:   push eax
        call sector_of
        movzx cx, byte [PER_CLUSTER]
.sector:mov bx, DIR
        call read
.entry: mov si, m_none
        cmp byte [bx], 0
        je fail
        cmp byte [bx+11], 0x0f          ; part of a long name
        je .other
        pusha
        mov si, bx
        mov cx, 11
        repe cmpsb
        popa
        je .found
.other: add bx, 32
        cmp bx, DIR + 512
        jb .entry
        inc eax
        loop .sector
        pop eax
        call next
        jc find
        mov si, m_none
        jmp fail
.found: pop eax
        mov ax, [bx+20]
        shl eax, 16
        mov ax, [bx+26]
        ret

; The cluster that follows cluster eax in eax, with carry; no carry at the end.
next:   push eax
        shr eax, 7                      ; 128 in a sector
        movzx edx, word [RESERVED]
        add eax, edx
        mov bx, FAT
        call read
        pop eax
        and ax, 127
        movzx bx, al
        shl bx, 2
        mov eax, [FAT+bx]
        and eax, 0x0fffffff
        cmp eax, 0x0ffffff8
        ret

; The first sector of cluster eax, from the partition's start, in eax.
sector_of:
        sub eax, 2
        movzx edx, byte [PER_CLUSTER]
        mul edx
        add eax, [data]
        ret

; Read sector eax of the root partition to bx in the packet's segment; all registers are kept.
read:   pushad
        add eax, [root]
        mov edx, [root+4]
        adc edx, 0
        mov [packet.lba], eax
        mov [packet.lba+4], edx
        mov [packet.offset], bx
        mov si, packet
        mov dl, [drive]
        mov ah, 0x42
        int 0x13
        mov si, m_unread
        jc fail
        popad
        ret
%include "print16.inc"
m_drive  db "STAGE2-STANDIN drive=", 0
m_root   db " root=", 0
m_all    db " loaded=all", 0
m_label  db " label=[", 0
m_end    db "]", 13, 10, 0
m_fail   db 13, 10, "STAGE2-STANDIN-FAIL ", 0
m_short  db "not all of stage 2 was loaded", 0
m_unread db "a sector cannot be read", 0
m_nofat  db "no FAT32 file system begins there", 0
m_none   db "no /boot/loader there", 0
m_large  db "/boot/loader is larger than 192 KiB", 0
m_line   db 13, 10, 0
n_boot   db "BOOT       "
n_loader db "LOADER     "
        align 4, db 0
packet: db 16, 0                        ; INT 13h disk address packet: one sector
        dw 1
.offset:dw 0
.segment: dw 0
.lba:   dq 0
data:   dd 0
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
