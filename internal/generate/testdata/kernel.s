# A kernel in Linux's x86 boot protocol (2.06) that says on the first serial port what its boot loader handed it, the command line
# and the length of the initrds, and then ends QEMU by its isa-debug-exit device. It never leaves real mode.
    .code16
    .globl _start
_start:
    .org 0x1f1
    .byte 1                     # setup_sects
    .word 0                     # root_flags
    .long 32                    # syssize, in 16 bytes
    .word 0, 0, 0               # ram_size, vid_mode, root_dev
    .word 0xaa55                # boot_flag
    jmp   main                  # at 0x200, where the loader jumps to
    .ascii "HdrS"
    .word 0x0206                # version
    .long 0                     # realmode_swtch
    .word 0, 0                  # start_sys_seg, kernel_version
    .byte 0                     # type_of_loader
    .byte 1                     # loadflags: LOADED_HIGH
    .word 0                     # setup_move_size
    .long 0x100000              # code32_start
    .long 0                     # ramdisk_image
ramdisk_size:
    .long 0
    .long 0                     # bootsect_kludge
    .word 0                     # heap_end_ptr
    .word 0                     # ext_loader_ver, ext_loader_type
cmd_line_ptr:
    .long 0
    .long 0x37ffffff            # initrd_addr_max
    .long 0                     # kernel_alignment
    .long 0                     # relocatable_kernel, min_alignment, xloadflags
    .long 2047                  # cmdline_size
main:
    mov   $0x3fb, %dx           # 115200 baud, 8 bits, as the prompt of iPXE may have left it otherwise
    mov   $0x03, %al
    out   %al, %dx
    mov   $'<', %al
    call  put
    mov   cmd_line_ptr, %eax
    mov   %eax, %ebx
    shr   $4, %eax
    mov   %ax, %es
    and   $15, %bx
text:
    mov   %es:(%bx), %al
    test  %al, %al
    jz    size
    call  put
    inc   %bx
    jmp   text
size:
    mov   $'>', %al
    call  put
    mov   ramdisk_size, %ebx
    mov   $8, %cx
digit:
    rol   $4, %ebx
    mov   %bl, %al
    and   $15, %al
    add   $'0', %al
    cmp   $'9', %al
    jbe   hexdigit
    add   $39, %al
hexdigit:
    call  put
    loop  digit
    mov   $'.', %al
    call  put
    out   %al, $0xf4
stop:
    hlt
    jmp   stop
put:                            # the character in al
    push  %ax
    mov   $0x3fd, %dx
busy:
    in    %dx, %al
    test  $0x20, %al
    jz    busy
    pop   %ax
    mov   $0x3f8, %dx
    out   %al, %dx
    ret
    .org  1024                  # end of the setup sectors; what follows would be the 32-bit part
    .fill 512, 1, 0xf4
