/*
 * loader64.efi: stands for the illumos boot loader under UEFI.
 *
 * It finds its root as that does: the file system that this program came from, then each partition of the same disk in
 * the order of its GPT (or the CD that the El Torito image is on); the first that has /boot/defaults/loader.conf is it.
 * A disk that begins with an ISO 9660 volume is that volume, whatever partitions lie over it (common/part.c there).
 * Loaded over a network it finds none: SmartOS builds that loader without network drivers.
 */
#include "../standin.h"
#include "efi.h"

static EFI_SYSTEM_TABLE *firmware;
static EFI_HANDLE program;

static const EFI_GUID loaded_image = EFI_LOADED_IMAGE_GUID, device_path = EFI_DEVICE_PATH_GUID;
static const EFI_GUID block_io = EFI_BLOCK_IO_GUID, simple_file_system = EFI_SIMPLE_FILE_SYSTEM_GUID;
static const EFI_GUID text_output = EFI_TEXT_OUTPUT_GUID, graphics = EFI_GRAPHICS_OUTPUT_GUID;

static const char marker[] = "/boot/defaults/loader.conf";

/* Once a console is chosen: on the screens (text consoles with graphics), not on the firmware's sum of all consoles. */
void
firmware_put(char character, bool chosen)
{
	CHAR16 text[] = {(CHAR16)character, 0};
	static EFI_HANDLE *handles;
	static uint64_t count;
	EFI_TEXT_OUTPUT *screen;
	void *unused;

	if (!chosen) {
		firmware->console_out->output_string(firmware->console_out, text);
		return;
	}
	if (!handles &&
	    firmware->boot->locate_handle_buffer(EFI_LOCATE_BY_PROTOCOL, &text_output, NULL, &count, &handles))
		return;
	for (uint64_t i = 0; i < count; i++)
		if (handles[i] != firmware->console_out_handle &&
		    !firmware->boot->handle_protocol(handles[i], &graphics, &unused) &&
		    !firmware->boot->handle_protocol(handles[i], &text_output, &screen))
			screen->output_string(screen, text);
}

void *
firmware_memory(uint64_t size)
{
	uint64_t address = 0xffffffff; /* at most */

	if (firmware->boot->allocate_pages(EFI_ALLOCATE_BELOW, EFI_LOADER_DATA, size / 4096 + 1, &address))
		return NULL;
	return (void *)(uintptr_t)address;
}

_Noreturn void
firmware_off(void)
{
	firmware->boot->stall(10 * 1000 * 1000); /* time to read the screen */
	firmware->runtime->reset_system(EFI_RESET_SHUTDOWN, 0, 0, NULL);
	for (;;)
		;
}

/* Leave the firmware, then 64-bit mode; enter the kernel as multiboot 2 wants it. */
_Noreturn void
firmware_start(const struct kernel *kernel)
{
	static const uint64_t descriptors[] = {0, 0x00cf9a000000ffff, 0x00cf92000000ffff}; /* 32-bit code and data */
	static uint8_t map[32 * 1024];
	struct __attribute__((packed)) {
		uint16_t limit;
		const uint64_t *base;
	} table = {sizeof(descriptors) - 1, descriptors};
	uint64_t size = sizeof(map), key, entry_size;
	uint32_t version;

	if ((uintptr_t)map >> 32 || (uintptr_t)&table >> 32)
		fail("the firmware put this program above 4 GiB");
	if (firmware->boot->get_memory_map(&size, map, &key, &entry_size, &version) ||
	    firmware->boot->exit_boot_services(program, key))
		fail("the firmware does not let go");
	__asm__ volatile("cli");
	memcpy((void *)(uintptr_t)kernel->to, kernel->data + kernel->from, kernel->size);
	memset((void *)(uintptr_t)(kernel->to + kernel->size), 0, kernel->end - kernel->to - kernel->size);
	__asm__ volatile("lgdt %0\n\t"
			 "pushq $8\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 ".code32\n"
			 "1:\tmovl $16, %%eax\n\t"
			 "movl %%eax, %%ds\n\t"
			 "movl %%eax, %%es\n\t"
			 "movl %%eax, %%ss\n\t"
			 "movl %%cr0, %%eax\n\t" /* no paging, */
			 "andl $0x7fffffff, %%eax\n\t"
			 "movl %%eax, %%cr0\n\t"
			 "movl $0xc0000080, %%ecx\n\t" /* no long mode, */
			 "rdmsr\n\t"
			 "andl $~0x100, %%eax\n\t"
			 "wrmsr\n\t"
			 "xorl %%eax, %%eax\n\t"
			 "movl %%eax, %%cr4\n\t"
			 "movl $0x36d76289, %%eax\n\t" /* multiboot 2's magic number */
			 "jmp *%%esi\n"
			 ".code64"
			 :
			 : "m"(table), "S"((uint64_t)kernel->entry), "b"((uint64_t)kernel->information)
			 : "rax", "rcx", "rdx", "memory");
	__builtin_unreachable();
}

static bool
read_blocks(const struct disk *disk, uint64_t block, uint32_t count, void *to)
{
	EFI_BLOCK_IO *device = disk->device;

	return !device->read_blocks(device, device->media->media_id, block, (uint64_t)count * disk->block_size, to);
}

/* The last node of a path before its end; *before is the length in bytes of what precedes it. */
static const EFI_DEVICE_PATH *
last_node(const EFI_DEVICE_PATH *path, size_t *before)
{
	const uint8_t *start = (const uint8_t *)path, *node = start, *last = start;

	while (((const EFI_DEVICE_PATH *)node)->type != EFI_PATH_END) {
		last = node;
		node += ((const EFI_DEVICE_PATH *)node)->length;
	}
	*before = (size_t)(last - start);
	return (const EFI_DEVICE_PATH *)last;
}

static bool
is(const EFI_DEVICE_PATH *node, uint8_t subtype)
{
	return node->type == EFI_PATH_MEDIA && node->subtype == subtype;
}

static bool
has_marker(struct volume *volume)
{
	struct file file;

	if (!volume_open(volume, marker, &file))
		return false;
	file_close(&file);
	return true;
}

/* Is the file system on this handle, which the firmware reads, the root? */
static bool
is_root(EFI_HANDLE handle, struct volume *volume)
{
	EFI_SIMPLE_FILE_SYSTEM *system;
	EFI_FILE *top;

	firmware->boot->connect_controller(handle, NULL, NULL, 1); /* firmware in a hurry has not looked at it yet */
	if (firmware->boot->handle_protocol(handle, &simple_file_system, &system) || system->open_volume(system, &top))
		return false;
	volume->fat = top;
	return has_marker(volume);
}

/* The handles of the disk whose path is the first `count` bytes of `whole`, and of its partitions by number. */
static EFI_HANDLE
find_disk(const EFI_DEVICE_PATH *whole, size_t count, EFI_HANDLE partitions[128])
{
	EFI_HANDLE *handles, disk = NULL;
	EFI_DEVICE_PATH *path;
	uint64_t handle_count;
	size_t before;

	if (firmware->boot->locate_handle_buffer(EFI_LOCATE_BY_PROTOCOL, &block_io, NULL, &handle_count, &handles))
		return NULL;
	for (uint64_t i = 0; i < handle_count; i++) {
		if (firmware->boot->handle_protocol(handles[i], &device_path, &path))
			continue;
		const EFI_DEVICE_PATH *last = last_node(path, &before);
		if (before + last->length == count && !memcmp(path, whole, count))
			disk = handles[i];
		else if (before == count && !memcmp(path, whole, count) && is(last, EFI_PATH_HARD_DRIVE) &&
		    last->hard_drive.number >= 1 && last->hard_drive.number <= 128)
			partitions[last->hard_drive.number - 1] = handles[i];
	}
	return disk;
}

_Noreturn static void
start_from_disk(EFI_HANDLE from, uint32_t number, const struct disk *disk, EFI_HANDLE partitions[128])
{
	static struct volume volume;
	struct place origin = {0}, root;

	if (!gpt_entry(disk, number, &origin))
		fail("partition %d, where this program came from, is not in the GPT", (uint64_t)number);
	if (iso_open(&volume.iso, disk) && has_marker(&volume)) {
		root = (struct place){0};
		run(origin.name, &root, &volume);
	}
	if (is_root(from, &volume))
		run(origin.name, &origin, &volume);
	for (uint32_t other = 1; other <= 128; other++)
		if (other != number && partitions[other - 1] && is_root(partitions[other - 1], &volume)) {
			if (!gpt_entry(disk, other, &root))
				fail("partition %d is not in the GPT", (uint64_t)other);
			run(origin.name, &root, &volume);
		}
	fail("nothing on this disk has %s", marker);
}

_Noreturn static void
start_from_cd(EFI_HANDLE from, const struct disk *disk)
{
	static struct volume volume;
	struct place root = {0};

	if (is_root(from, &volume))
		run("the El Torito image", &root, &volume);
	volume.fat = NULL;
	if (!iso_open(&volume.iso, disk) || !has_marker(&volume))
		fail("nothing on this CD has %s", marker);
	run("the El Torito image", &root, &volume);
}

EFI_STATUS
efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	static EFI_HANDLE partitions[128];
	static struct disk disk;
	EFI_LOADED_IMAGE *loaded;
	EFI_DEVICE_PATH *path;
	EFI_BLOCK_IO *device;
	size_t before;

	program = image;
	firmware = table;
	firmware->boot->set_watchdog_timer(0, 0, 0, NULL);
	if (firmware->boot->handle_protocol(image, &loaded_image, &loaded) ||
	    firmware->boot->handle_protocol(loaded->device, &device_path, &path))
		fail("the firmware does not say where this program came from");
	const EFI_DEVICE_PATH *last = last_node(path, &before);
	if (!is(last, EFI_PATH_CDROM) && !is(last, EFI_PATH_HARD_DRIVE))
		fail("Failed to find bootable partition");
	EFI_HANDLE handle = find_disk(path, before, partitions);
	if (!handle || firmware->boot->handle_protocol(handle, &block_io, &device))
		fail("the disk that this program came from cannot be found");
	disk = (struct disk){read_blocks, device->media->block_size, device};
	if (is(last, EFI_PATH_CDROM))
		start_from_cd(loaded->device, &disk);
	start_from_disk(loaded->device, last->hard_drive.number, &disk, partitions);
}
