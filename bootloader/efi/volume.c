/* Files of a FAT file system, through the firmware's driver, and of an ISO 9660 one, through iso9660.c, alike. */
#include "standin.h"

enum { SECTOR = 2048 };

static const EFI_GUID file_info = EFI_FILE_INFO_GUID;

static EFI_FILE *
fat_open(EFI_FILE *root, const char *path)
{
	CHAR16 name[256];
	EFI_FILE *file;
	size_t i;

	for (i = 0; path[i] && i < 255; i++)
		name[i] = path[i] == '/' ? '\\' : (CHAR16)path[i];
	name[i] = 0;
	return root->open(root, &file, name, EFI_FILE_READ, 0) ? NULL : file;
}

bool
volume_open(struct volume *volume, const char *path, struct file *file)
{
	static EFI_FILE_INFO info;
	uint64_t size = sizeof(info);
	struct iso_file found;

	memset(file, 0, sizeof(*file));
	file->volume = volume;
	if (!volume->fat) {
		if (!iso_find(&volume->iso, path, &found) || found.directory)
			return false;
		file->sector = found.sector;
		file->size = found.size;
		return true;
	}
	file->fat = fat_open(volume->fat, path);
	if (!file->fat)
		return false;
	if (file->fat->get_info(file->fat, &file_info, &size, &info) || info.attribute & EFI_FILE_DIRECTORY) {
		file_close(file);
		return false;
	}
	file->size = info.file_size;
	return true;
}

bool
file_read(struct file *file, uint64_t offset, void *buffer, uint32_t count)
{
	static uint8_t last[SECTOR];
	uint64_t size = count;

	if (file->fat)
		return !file->fat->set_position(file->fat, offset) && !file->fat->read(file->fat, &size, buffer) && size == count;

	uint32_t sector = file->sector + (uint32_t)(offset / SECTOR), whole = count / SECTOR;
	if (whole && !iso_read(&file->volume->iso, sector, whole, buffer))
		return false;
	if (count % SECTOR) {
		if (!iso_read(&file->volume->iso, sector + whole, 1, last))
			return false;
		memcpy((uint8_t *)buffer + whole * SECTOR, last, count % SECTOR);
	}
	return true;
}

void
file_close(struct file *file)
{
	if (file->fat)
		file->fat->close(file->fat);
	file->fat = NULL;
}

/* The list that volume_list() is filling, in order. */
static char (*list)[64];
static int list_count, list_most;

static void
add(const char *name)
{
	int at = list_count;

	if (list_count == list_most || length(name) > 63)
		return;
	for (; at > 0 && memcmp(list[at - 1], name, length(name) + 1) > 0; at--)
		memcpy(list[at], list[at - 1], 64);
	memcpy(list[at], name, length(name) + 1);
	list_count++;
}

static void
add_iso(const struct iso_file *file)
{
	if (!file->directory)
		add(file->name);
}

int
volume_list(struct volume *volume, const char *path, char names[][64], int most)
{
	static EFI_FILE_INFO info;
	struct iso_file directory;
	EFI_FILE *fat;

	list = names;
	list_count = 0;
	list_most = most;
	if (!volume->fat) {
		if (iso_find(&volume->iso, path, &directory) && directory.directory)
			iso_list(&volume->iso, &directory, add_iso);
		return list_count;
	}
	fat = fat_open(volume->fat, path);
	if (!fat)
		return 0;
	for (;;) {
		char name[64];
		uint64_t size = sizeof(info);
		int i;
		if (fat->read(fat, &size, &info) || size == 0)
			break;
		for (i = 0; info.name[i] && i < 63; i++)
			name[i] = (char)info.name[i];
		name[i] = 0;
		if (!(info.attribute & EFI_FILE_DIRECTORY))
			add(name);
	}
	fat->close(fat);
	return list_count;
}
