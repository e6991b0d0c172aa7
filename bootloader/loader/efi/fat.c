/* FAT through the firmware's own driver. */
#include "../standin.h"
#include "efi.h"

static const EFI_GUID file_info = EFI_FILE_INFO_GUID;
static EFI_FILE_INFO info;

static EFI_FILE *
open_path(struct volume *volume, const char *path)
{
	EFI_FILE *root = volume->fat, *file;
	CHAR16 name[256];
	size_t i;

	for (i = 0; path[i] && i < 255; i++)
		name[i] = path[i] == '/' ? '\\' : (CHAR16)path[i];
	name[i] = 0;
	return root->open(root, &file, name, EFI_FILE_READ, 0) ? NULL : file;
}

bool
fat_open(struct volume *volume, const char *path, struct file *file)
{
	EFI_FILE *opened = open_path(volume, path);
	uint64_t size = sizeof(info);

	file->handle = opened;
	if (!opened)
		return false;
	if (opened->get_info(opened, &file_info, &size, &info) || info.attribute & EFI_FILE_DIRECTORY) {
		fat_close(file);
		return false;
	}
	file->size = info.file_size;
	return true;
}

bool
fat_read(struct file *file, void *to)
{
	EFI_FILE *opened = file->handle;
	uint64_t size = file->size;

	return !opened->set_position(opened, 0) && !opened->read(opened, &size, to) && size == file->size;
}

void
fat_close(struct file *file)
{
	EFI_FILE *opened = file->handle;

	opened->close(opened);
}

void
fat_list(struct volume *volume, const char *path, void (*each)(const char *name))
{
	EFI_FILE *directory = open_path(volume, path);

	if (!directory)
		return;
	for (;;) {
		char name[256];
		uint64_t size = sizeof(info);
		int i;
		if (directory->read(directory, &size, &info) || size == 0)
			break;
		for (i = 0; info.name[i] && i < 255; i++)
			name[i] = (char)info.name[i];
		name[i] = 0;
		if (!(info.attribute & EFI_FILE_DIRECTORY))
			each(name);
	}
	directory->close(directory);
}
