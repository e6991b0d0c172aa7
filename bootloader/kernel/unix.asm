; unix: stands for illumos' platform/i86pc/kernel/amd64/unix.
;
; Like that one it is an ELF64 file that boot loaders cannot load as such: a multiboot 1 header with the a.out kludge
; and a multiboot 2 header with address and entry tags lie in its first 32 KiB, and both enter it in 32-bit protected
; mode.  It shows what it was given on the console that console= in its command line names (text by default): the
; protocol, the loader's name, the command line, and for each module its address, size, CRC-32 (as in zlib) and string.
; ttya to ttyd are COM1 to COM4; text is the VGA text screen and the debug port 0xe9, which stands for it in QEMU.
;
; nasm -f bin
        bits 32
PHYS    equ 0xc00000                    ; where illumos' kernel text goes, too
OFFSET  equ 0x1000                      ; of the segment in this file
LEAST   equ 32768                       ; bytes: loaders read that much for the headers, and refuse shorter kernels
DEBUG   equ 0xe9
SCREEN  equ 0xb8000                     ; 25 lines of 80 characters, each with its colours
        org PHYS-OFFSET
elf:    db 0x7f, 'ELF', 2, 1, 1, 6      ; 64 bits, little-endian, version 1, Solaris
        dq 0
        dw 2, 62                        ; ET_EXEC, EM_X86_64
        dd 1
        dq start                        ; e_entry
        dq segment_-elf, 0              ; e_phoff, e_shoff
        dd 0
        dw 64, 56, 1, 64, 0, 0
segment_: dd 1, 5                       ; PT_LOAD, r-x
        dq OFFSET, PHYS, PHYS
        dq file_end-start, memory_end-start
        dq 0x1000
        times OFFSET-($-$$) db 0

start:  jmp entry
        align 4, db 0
mb1:    dd 0x1badb002, 0x00010003, -(0x1badb002+0x00010003)
        dd mb1, PHYS-OFFSET, 0, memory_end, start ; load_end 0: the whole file, zeros behind it
        dd 0, 0, 0, 0
        align 8, db 0
mb2:    dd 0xe85250d6, 0, mb2_end-mb2, -(0xe85250d6+(mb2_end-mb2))
        dw 2, 0                         ; address tag: the whole file, zeros behind it
        dd 24, mb2, PHYS-OFFSET, 0, memory_end
        dw 3, 0                         ; entry tag
        dd 12, start
        align 8, db 0
        dw 6, 0                         ; modules on page boundaries
        dd 8
        dw 0, 0
        dd 8
mb2_end:

entry:  cld
        mov esp, stack
        xor ecx, ecx
        mov [arguments], ecx
        mov [loader], ecx
        mov [module_count], ecx
        mov esi, m_multiboot1
        cmp eax, 0x2badb002
        je .one
        mov esi, m_multiboot2
        cmp eax, 0x36d76289
        je .two
        mov esi, m_magic
        call puts
        mov al, 0x12                    ; status 37
        jmp leave

; Multiboot 1: ebx points to flags and fields; bit 2 command line, 3 modules (16 bytes each), 9 the loader's name.
.one:   mov [protocol], esi
        test dword [ebx], 1 << 2
        jz .one_loader
        mov eax, [ebx+16]
        mov [arguments], eax
.one_loader:
        test dword [ebx], 1 << 9
        jz .one_modules
        mov eax, [ebx+64]
        mov [loader], eax
.one_modules:
        test dword [ebx], 1 << 3
        jz report
        mov ecx, [ebx+20]
        mov esi, [ebx+24]
.one_next:
        test ecx, ecx
        jz report
        mov eax, [esi]
        mov edx, [esi+4]
        mov edi, [esi+8]
        call add_module
        add esi, 16
        dec ecx
        jmp .one_next

; Multiboot 2: tags of type, size and fields from ebx + 8 on; 0 end, 1 command line, 2 the loader's name, 3 a module.
.two:   mov [protocol], esi
        add ebx, 8
.tag:   mov eax, [ebx]
        test eax, eax
        jz report
        lea edi, [ebx+8]
        cmp eax, 1
        jne .two_loader
        mov [arguments], edi
.two_loader:
        cmp eax, 2
        jne .two_module
        mov [loader], edi
.two_module:
        cmp eax, 3
        jne .two_next
        mov eax, [ebx+8]
        mov edx, [ebx+12]
        lea edi, [ebx+16]
        call add_module
.two_next:
        mov eax, [ebx+4]
        add eax, 7
        and eax, -8
        add ebx, eax
        jmp .tag

add_module:                             ; eax start, edx end, edi string
        push ebx
        mov ebx, [module_count]
        cmp ebx, MODULES
        jae .full
        inc dword [module_count]
        imul ebx, 12
        add ebx, modules
        mov [ebx], eax
        mov [ebx+4], edx
        mov [ebx+8], edi
.full:  pop ebx
        ret

report: mov esi, [arguments]            ; the console: the first console=ttyX counts
        test esi, esi
        jz .show
.search:cmp byte [esi], 0
        je .show
        cmp dword [esi], 'cons'
        jne .step
        cmp dword [esi+4], 'ole='
        jne .step
        cmp word [esi+8], 'tt'
        jne .show
        cmp byte [esi+10], 'y'
        jne .show
        movzx eax, byte [esi+11]
        sub eax, 'a'
        cmp eax, 3
        ja .show
        movzx eax, word [serial+2*eax]
        mov [port], eax
        jmp .show
.step:  inc esi
        jmp .search
.show:  mov esi, m_protocol
        call puts
        mov esi, [protocol]
        call line
        mov esi, m_loader
        call puts
        mov esi, [loader]
        call line
        mov esi, m_arguments
        call puts
        mov esi, [arguments]
        call line
        xor ebp, ebp
.module:cmp ebp, [module_count]
        jae .end
        imul ebx, ebp, 12
        add ebx, modules
        mov esi, m_module
        call puts
        mov eax, ebp
        call hex
        mov esi, m_address
        call puts
        mov eax, [ebx]
        call hex
        mov esi, m_size
        call puts
        mov eax, [ebx+4]
        sub eax, [ebx]
        call hex
        mov esi, m_crc
        call puts
        call crc32
        call hex
        mov esi, m_string
        call puts
        mov esi, [ebx+8]
        call line
        inc ebp
        jmp .module
.end:   mov esi, m_end
        call puts
        mov al, 0x10                    ; status (0x10 << 1) | 1 = 33
leave:  mov dx, 0xf4                    ; ends QEMU (isa-debug-exit)
        out dx, al
        mov ax, 0x2000                  ; without that device: ACPI soft off of QEMU's pc and q35 machines
        mov dx, 0x604
        out dx, ax
.halt:  hlt
        jmp .halt

crc32:  push ebp                        ; eax = CRC-32 of the bytes from [ebx] to [ebx+4], four bits at a time
        mov esi, [ebx]
        mov ebp, [ebx+4]
        mov eax, -1
.byte:  cmp esi, ebp
        jae .end
        movzx ecx, byte [esi]
        inc esi
        xor al, cl
        mov edx, eax
        and edx, 15
        shr eax, 4
        xor eax, [crc_table+4*edx]
        mov edx, eax
        and edx, 15
        shr eax, 4
        xor eax, [crc_table+4*edx]
        jmp .byte
.end:   not eax
        pop ebp
        ret

line:   test esi, esi                   ; the string at esi (0: none) and a new line
        jz .none
        call puts
.none:  mov esi, m_newline
puts:   lodsb
        test al, al
        jz .end
        call putc
        jmp puts
.end:   ret

hex:    push ecx                        ; eax in eight hexadecimal digits
        mov ecx, 8
.digit: rol eax, 4
        push eax
        and al, 15
        cmp al, 10
        jb .low
        add al, 'a' - '0' - 10
.low:   add al, '0'
        call putc
        pop eax
        loop .digit
        pop ecx
        ret

putc:   pushad
        mov edx, [port]
        cmp edx, DEBUG
        je .text
        add edx, 5
        mov ah, al
.wait:  in al, dx                       ; line status: room for a byte?
        test al, 0x20
        jz .wait
        mov al, ah
        sub edx, 5
        out dx, al
        popad
        ret
.text:  out dx, al
        mov edi, [cursor]
        cmp al, 13
        je .done
        cmp al, 10
        je .newline
        mov ah, 7                       ; grey on black
        stosw
        jmp .scroll
.newline:
        lea eax, [edi-SCREEN]           ; to the start of the next line
        xor edx, edx
        mov ecx, 160
        div ecx
        sub ecx, edx
        add edi, ecx
.scroll:cmp edi, SCREEN + 25*160
        jb .done
        mov edi, SCREEN
        mov esi, SCREEN + 160
        mov ecx, 24*160/4
        rep movsd
        push edi
        mov eax, 0x07200720
        mov ecx, 160/4
        rep stosd
        pop edi
.done:  mov [cursor], edi
        popad
        ret

m_protocol   db 13, 10, "UNIX-STANDIN protocol: ", 0
m_multiboot1 db "multiboot1", 0
m_multiboot2 db "multiboot2", 0
m_magic      db 13, 10, "UNIX-STANDIN-FAIL no multiboot magic in eax", 13, 10, 0
m_loader     db "UNIX-STANDIN loader: ", 0
m_arguments  db "UNIX-STANDIN arguments: ", 0
m_module     db "UNIX-STANDIN module ", 0
m_address    db ": address=", 0
m_size       db " size=", 0
m_crc        db " crc32=", 0
m_string     db " string=", 0
m_end        db "UNIX-STANDIN-END"
m_newline    db 13, 10, 0
serial       dw 0x3f8, 0x2f8, 0x3e8, 0x2e8
             align 4, db 0
crc_table:
%assign row 0
%rep 16
    %assign value row
    %rep 4
        %if value & 1
            %assign value (value >> 1) ^ 0xedb88320
        %else
            %assign value value >> 1
        %endif
    %endrep
        dd value
    %assign row row+1
%endrep
port         dd DEBUG
cursor       dd SCREEN + 24*160         ; what was on the screen moves up
protocol     dd 0
arguments    dd 0
loader       dd 0
module_count dd 0
        times LEAST-($-$$) db 0
file_end:
        absolute PHYS-OFFSET+LEAST
MODULES equ 32
modules resd 3*MODULES
        resb 4096
stack:
memory_end:
