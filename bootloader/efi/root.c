/*
 * Find the root as the illumos loader does: the file system that this program came from, then each partition of the
 * same disk in the order of its GPT (or the CD that the El Torito image is on); the first that has
 * /boot/defaults/loader.conf is it.
 */
#include "standin.h"

static const EFI_GUID loaded_image = EFI_LOADED_IMAGE_GUID, device_path = EFI_DEVICE_PATH_GUID;
static const EFI_GUID block_io = EFI_BLOCK_IO_GUID, simple_file_system = EFI_SIMPLE_FILE_SYSTEM_GUID;

static const char marker[] = "/boot/defaults/loader.conf";

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

/* Does this path consist of exactly the first `count` bytes of `whole`? */
static bool
is_disk(const EFI_DEVICE_PATH *path, const EFI_DEVICE_PATH *whole, size_t count)
{
	size_t before;
	const EFI_DEVICE_PATH *last = last_node(path, &before);

	return before + last->length == count && !memcmp(path, whole, count);
}

/* The name in GPT entry `number` of a disk, and its bounds. */
static void
partition_entry(EFI_BLOCK_IO *disk, struct place *place)
{
	static uint8_t block[4096] __attribute__((aligned(4096)));
	uint32_t size = disk->media->block_size, entry_size;
	uint64_t at, array;

	if (size > sizeof(block) || disk->read_blocks(disk, disk->media->media_id, 1, size, block) ||
	    memcmp(block, "EFI PART", 8))
		return;
	memcpy(&array, block + 72, 8);
	memcpy(&entry_size, block + 84, 4);
	at = (uint64_t)(place->partition - 1) * entry_size;
	if (entry_size < 128 || size % entry_size ||
	    disk->read_blocks(disk, disk->media->media_id, array + at / size, size, block))
		return;
	for (int i = 0; i < 36; i++)
		place->name[i] = (char)block[at % size + 56 + 2 * i];
}

static bool
open_fat(EFI_HANDLE handle, struct volume *volume)
{
	EFI_SIMPLE_FILE_SYSTEM *system;

	firmware->boot->connect_controller(handle, NULL, NULL, 1); /* firmware in a hurry has not looked at it yet */
	return !firmware->boot->handle_protocol(handle, &simple_file_system, &system) &&
	    !system->open_volume(system, &volume->fat);
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

bool
root_find(EFI_HANDLE image, struct place *origin, struct place *root, struct volume *volume)
{
	EFI_HANDLE *handles, partitions[128] = {0}, disk_handle = NULL;
	EFI_LOADED_IMAGE *loaded;
	EFI_DEVICE_PATH *origin_path, *path;
	EFI_BLOCK_IO *disk;
	uint64_t count;
	size_t disk_length, before;

	memset(origin, 0, sizeof(*origin));
	if (firmware->boot->handle_protocol(image, &loaded_image, &loaded) ||
	    firmware->boot->handle_protocol(loaded->device, &device_path, &origin_path))
		fail("the firmware does not say where this program came from");
	const EFI_DEVICE_PATH *last = last_node(origin_path, &disk_length);
	if (is(last, EFI_PATH_CDROM)) {
		origin->cd = true;
		origin->entry = last->cdrom.entry;
	} else if (is(last, EFI_PATH_HARD_DRIVE)) {
		origin->partition = last->hard_drive.number;
		origin->first = last->hard_drive.first;
		origin->sectors = last->hard_drive.sectors;
	} else {
		fail("this program did not come from a partition or a CD");
	}

	/* The disk and its partitions, by their numbers. */
	if (firmware->boot->locate_handle_buffer(EFI_LOCATE_BY_PROTOCOL, &block_io, NULL, &count, &handles))
		fail("the firmware knows no disks");
	for (uint64_t i = 0; i < count; i++) {
		if (firmware->boot->handle_protocol(handles[i], &device_path, &path))
			continue;
		const EFI_DEVICE_PATH *node = last_node(path, &before);
		if (is_disk(path, origin_path, disk_length))
			disk_handle = handles[i];
		else if (is(node, EFI_PATH_HARD_DRIVE) && before == disk_length && !memcmp(path, origin_path, before) &&
		    node->hard_drive.number >= 1 && node->hard_drive.number <= 128)
			partitions[node->hard_drive.number - 1] = handles[i];
	}
	if (!disk_handle || firmware->boot->handle_protocol(disk_handle, &block_io, &disk))
		fail("the disk that this program came from cannot be found");
	if (origin->partition)
		partition_entry(disk, origin);

	*root = *origin;
	memset(volume, 0, sizeof(*volume));
	if (open_fat(loaded->device, volume) && has_marker(volume))
		return true;
	if (origin->cd) {
		memset(root, 0, sizeof(*root));
		root->cd = true;
		volume->fat = NULL;
		return iso_open(&volume->iso, disk) && has_marker(volume);
	}
	for (uint32_t number = 1; number <= 128; number++) {
		if (!partitions[number - 1] || number == origin->partition)
			continue;
		memset(volume, 0, sizeof(*volume));
		if (!open_fat(partitions[number - 1], volume) || !has_marker(volume))
			continue;
		firmware->boot->handle_protocol(partitions[number - 1], &device_path, &path);
		last = last_node(path, &before);
		memset(root, 0, sizeof(*root));
		root->partition = number;
		root->first = last->hard_drive.first;
		root->sectors = last->hard_drive.sectors;
		partition_entry(disk, root);
		return true;
	}
	return false;
}
