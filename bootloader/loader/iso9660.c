/*
 * A reader for ISO 9660 with Rock Ridge names (NM), which firmware does not read on its own.
 *
 * It is as strict as the illumos loader: names compare exactly, a name that is continued in another record (CE) is not
 * put together, files of several extents are not read.
 */
#include "standin.h"

enum { SECTOR = 2048, FIRST_DESCRIPTOR = 16, LAST_DESCRIPTOR = 64 };
/* Offsets in a directory record; the system use area follows the name, on an even byte. */
enum { RECORD_SECTOR = 2, RECORD_SIZE = 10, RECORD_FLAGS = 25, RECORD_NAME_LENGTH = 32, RECORD_NAME = 33 };
enum { FLAG_DIRECTORY = 2, FLAG_MORE_EXTENTS = 0x80 };
enum { NM_CONTINUES = 1, NM_DOTS = 6 };

static uint8_t buffer[SECTOR] __attribute__((aligned(SECTOR)));

static uint32_t
little(const uint8_t *bytes)
{
	return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

bool
iso_read(const struct iso *iso, uint32_t sector, uint64_t size, void *to)
{
	static uint8_t last[SECTOR] __attribute__((aligned(SECTOR)));
	uint32_t blocks = SECTOR / iso->disk->block_size; /* in a sector */
	uint32_t whole = (uint32_t)(size / SECTOR), rest = (uint32_t)(size % SECTOR);

	if (whole && !iso->disk->read(iso->disk, (uint64_t)sector * blocks, whole * blocks, to))
		return false;
	if (rest) {
		if (!iso->disk->read(iso->disk, (uint64_t)(sector + whole) * blocks, blocks, last))
			return false;
		memcpy((uint8_t *)to + (size_t)whole * SECTOR, last, rest);
	}
	return true;
}

bool
iso_open(struct iso *iso, const struct disk *disk)
{
	memset(iso, 0, sizeof(*iso));
	iso->disk = disk;
	if (disk->block_size == 0 || SECTOR % disk->block_size)
		return false;
	for (uint32_t sector = FIRST_DESCRIPTOR;; sector++) {
		if (sector == LAST_DESCRIPTOR || !iso_read(iso, sector, SECTOR, buffer) ||
		    memcmp(buffer + 1, "CD001", 5))
			return false;
		if (buffer[0] == 1)
			break;
	}
	memcpy(iso->label, buffer + 40, 32);
	for (int i = 31; i >= 0 && iso->label[i] == ' '; i--)
		iso->label[i] = 0;
	iso->root = little(buffer + 156 + RECORD_SECTOR);
	iso->root_size = little(buffer + 156 + RECORD_SIZE);
	if (!iso_read(iso, iso->root, SECTOR, buffer))
		return false;
	const uint8_t *use = buffer + RECORD_NAME + 1; /* of the record of ".", whose name is one byte */
	if (buffer[0] >= RECORD_NAME + 1 + 7 && !memcmp(use, "SP\7\1\xbe\xef", 6)) {
		iso->rock_ridge = true;
		iso->skip = use[6];
	}
	return true;
}

/* Put the name of a directory record into file->name: that of Rock Ridge, or else the plain one. */
static void
record_name(const struct iso *iso, const uint8_t *record, struct iso_file *file)
{
	const uint8_t *end = record + record[0];
	const uint8_t *use = record + RECORD_NAME + record[RECORD_NAME_LENGTH];
	size_t size = 0;

	use += (use - record) & 1;
	use += iso->skip;
	while (iso->rock_ridge && use + 5 <= end && use[2] >= 5 && use + use[2] <= end) {
		if (use[0] == 'N' && use[1] == 'M' && !(use[4] & NM_DOTS)) {
			size_t part = use[2] - 5;
			if (size + part > 255)
				break;
			memcpy(file->name + size, use + 5, part);
			size += part;
			if (!(use[4] & NM_CONTINUES)) {
				file->name[size] = 0;
				return;
			}
		}
		use += use[2];
	}
	memcpy(file->name, record + RECORD_NAME, record[RECORD_NAME_LENGTH]);
	file->name[record[RECORD_NAME_LENGTH]] = 0;
}

/* Walk a directory: look for `name`, or else give every entry to `each`. */
static bool
walk(struct iso *iso, const struct iso_file *directory, const char *name, struct iso_file *found,
    void (*each)(const char *))
{
	uint32_t sectors = (directory->size + SECTOR - 1) / SECTOR;

	for (uint32_t i = 0; i < sectors; i++) {
		if (!iso_read(iso, directory->sector + i, SECTOR, buffer))
			return false;
		const uint8_t *record = buffer, *end = buffer + SECTOR;
		for (; record < end && record[0]; record += record[0]) {
			struct iso_file file;
			if (record + record[0] > end || record[0] < RECORD_NAME + record[RECORD_NAME_LENGTH])
				return false;
			if (record[RECORD_NAME_LENGTH] == 1 && record[RECORD_NAME] <= 1)
				continue; /* "." and ".." */
			record_name(iso, record, &file);
			file.sector = little(record + RECORD_SECTOR);
			file.size = little(record + RECORD_SIZE);
			file.directory = record[RECORD_FLAGS] & FLAG_DIRECTORY;
			if (record[RECORD_FLAGS] & FLAG_MORE_EXTENTS)
				continue;
			if (each && !file.directory)
				each(file.name);
			if (!each && equal(file.name, name)) {
				*found = file;
				return true;
			}
		}
	}
	return false;
}

bool
iso_find(struct iso *iso, const char *path, struct iso_file *found)
{
	char name[256];
	size_t size;

	memset(found, 0, sizeof(*found));
	found->sector = iso->root;
	found->size = iso->root_size;
	found->directory = true;
	for (;;) {
		while (*path == '/')
			path++;
		if (!*path)
			return true;
		for (size = 0; path[size] && path[size] != '/'; size++)
			if (size == sizeof(name) - 1)
				return false;
		memcpy(name, path, size);
		name[size] = 0;
		path += size;
		struct iso_file directory = *found;
		if (!directory.directory || !walk(iso, &directory, name, found, NULL))
			return false;
	}
}

void
iso_list(struct iso *iso, const char *path, void (*each)(const char *name))
{
	struct iso_file directory;

	if (iso_find(iso, path, &directory) && directory.directory)
		walk(iso, &directory, NULL, NULL, each);
}
