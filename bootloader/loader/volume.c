/* Files of a FAT file system and of an ISO 9660 one, alike. */
#include "standin.h"

bool
volume_open(struct volume *volume, const char *path, struct file *file)
{
	struct iso_file found;

	memset(file, 0, sizeof(*file));
	file->volume = volume;
	if (volume->fat)
		return fat_open(volume, path, file);
	if (!iso_find(&volume->iso, path, &found) || found.directory)
		return false;
	file->start = found.sector;
	file->size = found.size;
	return true;
}

bool
file_read(struct file *file, void *to)
{
	if (file->volume->fat)
		return fat_read(file, to);
	return iso_read(&file->volume->iso, file->start, file->size, to);
}

void
file_close(struct file *file)
{
	if (file->volume->fat)
		fat_close(file);
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

int
volume_list(struct volume *volume, const char *path, char names[][64], int most)
{
	list = names;
	list_count = 0;
	list_most = most;
	if (volume->fat)
		fat_list(volume, path, add);
	else
		iso_list(&volume->iso, path, add);
	return list_count;
}
