/*
 * boot/loader: stands for the illumos boot loader under BIOS; disks, memory and screen through the BIOS.
 *
 * Its root is the partition that gptzfsboot was told of, the CD, or the disk that isoboot came from.  Modules lie at
 * 200 MiB and above, as the illumos loader has them.
 */
#include "../port.h"
#include "../standin.h"
#include "fat32.h"

enum { SECTOR = 512, CD_SECTOR = 2048, PAGE = 4096 };
/* In the place of the root partition's first sector: an ISO 9660 volume. */
static const uint32_t ON_CD = 0, ON_DISK = 0xffffffff;
enum { COM1 = 0x3f8, LINE_STATUS = 5, CAN_SEND = 0x20 };
/* Addresses; the first three are those of entry.asm. */
enum { PROGRAM = 0x10000, PACKET = 0x10010, BUFFER = 0x40000, MODULES = 200 << 20 };

struct registers {
	uint32_t eax, ebx, ecx, edx, esi;
	uint32_t interrupt;
	uint32_t carry; /* behind it: not 0 is an error */
};

/* entry.asm: an interrupt of the BIOS; ds is that of this program there, es is 0. */
static void (*const bios)(struct registers *) = (void (*)(struct registers *))0x10008;

extern uint8_t zeros_start[], zeros_end[];

static uint32_t memory_next = MODULES, memory_end;

void
firmware_put(char character, bool chosen)
{
	struct registers teletype = {.eax = 0x0e00 | (uint8_t)character, .interrupt = 0x10};

	bios(&teletype);
	if (chosen)
		return;
	while (!(port_in(COM1 + LINE_STATUS) & CAN_SEND))
		;
	port_out(COM1, (uint8_t)character);
}

/* The end of the memory that begins at 1 MiB, up to 4 GiB. */
static uint32_t
find_memory_end(void)
{
	struct registers sizes = {.eax = 0xe801, .interrupt = 0x15};

	bios(&sizes);
	if (sizes.carry)
		fail("the BIOS does not say how much memory there is");
	uint32_t low = sizes.ecx & 0xffff, high = sizes.edx & 0xffff; /* KiB up to 16 MiB; 64 KiB above */
	return low == 15 * 1024 ? (256 + high) << 16 : (1024 + low) << 10;
}

void *
firmware_memory(uint64_t size)
{
	void *memory = (void *)memory_next;

	if (!memory_end)
		memory_end = find_memory_end();
	if (memory_next > memory_end || size > memory_end - memory_next)
		return NULL;
	memory_next += ((uint32_t)size + PAGE - 1) & ~(uint32_t)(PAGE - 1);
	return memory;
}

_Noreturn void
firmware_off(void)
{
	for (;;)
		__asm__ volatile("cli\n\thlt");
}

_Noreturn void
firmware_start(const struct kernel *kernel)
{
	memcpy((void *)kernel->to, kernel->data + kernel->from, kernel->size);
	memset((void *)(kernel->to + kernel->size), 0, kernel->end - kernel->to - kernel->size);
	__asm__ volatile("jmp *%0" : : "r"(kernel->entry), "a"(0x36d76289), "b"(kernel->information));
	__builtin_unreachable();
}

struct __attribute__((packed)) packet {
	uint8_t size, zero;
	uint16_t count, offset, segment;
	uint64_t block;
};
static struct packet *const packet = (struct packet *)PACKET;

static bool
read_blocks(const struct disk *disk, uint64_t block, uint32_t count, void *to)
{
	uint8_t drive = *(const uint8_t *)disk->device, *at = to;

	while (count) {
		uint32_t part = 32768 / disk->block_size; /* some BIOSes read no more than 127 sectors at once */
		if (part > count)
			part = count;
		*packet = (struct packet){16, 0, (uint16_t)part, 0, BUFFER / 16, block};
		struct registers read = {.eax = 0x4200, .edx = drive, .esi = PACKET - PROGRAM, .interrupt = 0x13};
		bios(&read);
		if (read.carry)
			return false;
		memcpy(at, (void *)BUFFER, part * disk->block_size);
		at += part * disk->block_size;
		block += part;
		count -= part;
	}
	return true;
}

__attribute__((section(".first"))) _Noreturn void
bios_main(uint32_t drive, uint32_t first)
{
	static struct volume volume;
	static struct fat32 fat;
	static struct disk disk;
	static uint8_t device;
	struct place root = {0};

	memset(zeros_start, 0, (size_t)(zeros_end - zeros_start));
	device = (uint8_t)drive;
	disk = (struct disk){read_blocks, first == ON_CD ? CD_SECTOR : SECTOR, &device};
	if (first == ON_CD || first == ON_DISK) {
		if (!iso_open(&volume.iso, &disk))
			fail("the %s has no ISO 9660 file system", first == ON_CD ? "CD" : "disk");
		run(first == ON_CD ? "cdboot" : "isoboot", &root, &volume);
	}
	if (!gpt_find(&disk, first, &root))
		fail("no partition begins at sector %d", (uint64_t)first);
	if (!fat32_mount(&fat, &disk, root.first))
		fail("no FAT32 file system begins at sector %d", (uint64_t)first);
	volume.fat = &fat;
	run("gptzfsboot", &root, &volume);
}

/* What compilers call for divisions of 64 bits on a processor of 32. */
uint64_t
__udivmoddi4(uint64_t dividend, uint64_t divisor, uint64_t *rest)
{
	uint64_t quotient = 0, left = 0;

	for (int bit = 63; bit >= 0; bit--) {
		left = left << 1 | (dividend >> bit & 1);
		if (left >= divisor) {
			left -= divisor;
			quotient |= 1ull << bit;
		}
	}
	if (rest)
		*rest = left;
	return quotient;
}

uint64_t
__udivdi3(uint64_t dividend, uint64_t divisor)
{
	return __udivmoddi4(dividend, divisor, NULL);
}

uint64_t
__umoddi3(uint64_t dividend, uint64_t divisor)
{
	uint64_t rest;

	__udivmoddi4(dividend, divisor, &rest);
	return rest;
}
