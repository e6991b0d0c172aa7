/*
 * A reader for FAT32, as strict as that of the illumos loader: long names must have the right checksums and consist of
 * ASCII, names compare without case, directories have size 0, and only a file without bytes has no first cluster.
 */
#include "fat32.h"

enum { SECTOR = 512, ENTRY = 32, LAST_CLUSTER = 0x0ffffff8, CLUSTER_BITS = 0x0fffffff };
enum { ATTRIBUTE_VOLUME = 8, ATTRIBUTE_DIRECTORY = 0x10, ATTRIBUTE_LONG_NAME = 0x0f, LAST_PART = 0x40, DELETED = 0xe5 };

struct entry {
	char name[256];
	char short_name[13];
	uint32_t cluster, size;
	bool directory;
};

static uint32_t
little(const uint8_t *bytes, int count)
{
	uint32_t value = 0;

	while (count--)
		value = value << 8 | bytes[count];
	return value;
}

bool
fat32_mount(struct fat32 *fat, const struct disk *disk, uint64_t first)
{
	memset(fat, 0, sizeof(*fat));
	fat->disk = disk;
	if (!disk->read(disk, first, 1, fat->sector) || little(fat->sector + 510, 2) != 0xaa55)
		return false;
	const uint8_t *bpb = fat->sector;
	uint32_t reserved = little(bpb + 14, 2), fats = bpb[16];
	uint32_t sectors = little(bpb + 32, 4), fat_size = little(bpb + 36, 4);
	/* FAT32 is known by a FAT size of 0 in the field of FAT12 and FAT16. */
	if (little(bpb + 11, 2) != SECTOR || little(bpb + 22, 2) != 0 || !bpb[13] || !fats || !fat_size)
		return false;
	fat->per_cluster = bpb[13];
	fat->root = little(bpb + 44, 4);
	fat->fat = first + reserved;
	fat->data = fat->fat + (uint64_t)fats * fat_size;
	fat->clusters = (sectors - reserved - fats * fat_size) / fat->per_cluster;
	return true;
}

static bool
is_cluster(const struct fat32 *fat, uint32_t cluster)
{
	return cluster >= 2 && cluster < fat->clusters + 2;
}

/* The cluster that follows one; 0 at the end and where the FAT is damaged. */
static uint32_t
next(struct fat32 *fat, uint32_t cluster)
{
	uint64_t sector = fat->fat + cluster / (SECTOR / 4);

	if (fat->cached != sector) {
		fat->cached = 0;
		if (!fat->disk->read(fat->disk, sector, 1, fat->sector))
			return 0;
		fat->cached = sector;
	}
	cluster = little(fat->sector + cluster % (SECTOR / 4) * 4, 4) & CLUSTER_BITS;
	return is_cluster(fat, cluster) ? cluster : 0;
}

static uint64_t
place(const struct fat32 *fat, uint32_t cluster)
{
	return fat->data + (uint64_t)(cluster - 2) * fat->per_cluster;
}

static uint8_t
checksum(const uint8_t *short_name)
{
	uint8_t sum = 0;

	for (int i = 0; i < 11; i++)
		sum = (uint8_t)((sum >> 1 | sum << 7) + short_name[i]);
	return sum;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

static bool
equal_without_case(const char *a, const char *b)
{
	for (; *a && lower(*a) == lower(*b); a++, b++)
		;
	return *a == *b;
}

/* NAME.EXT of the eleven bytes of a directory entry. */
static void
read_short_name(const uint8_t *from, char *to)
{
	for (int i = 0; i < 11; i++) {
		if (i == 8 && from[i] != ' ')
			*to++ = '.';
		if (from[i] != ' ')
			*to++ = (char)from[i];
	}
	*to = 0;
}

/* Put one part of a long name, 13 characters of 16 bits, into its place; false: one of them is not ASCII. */
static bool
read_long_name(const uint8_t *from, char *name)
{
	static const uint8_t at[] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
	uint32_t start = ((from[0] & 31u) - 1) * 13;

	for (int i = 0; i < 13; i++) {
		uint32_t character = little(from + at[i], 2);
		if (character == 0)
			return true;
		if (character < 32 || character > 127 || start + (uint32_t)i > 254)
			return false;
		name[start + (uint32_t)i] = (char)character;
	}
	return true;
}

/* Walk a directory: look for the first `count` characters at `name`, or else give every file's name to `each`. */
static bool
walk(struct fat32 *fat, uint32_t cluster, const char *name, struct entry *found, void (*each)(const char *))
{
	static uint8_t sector[SECTOR];
	uint32_t limit = fat->clusters;
	int sum = -1; /* of the long name in found->name, or -1 */

	for (; is_cluster(fat, cluster) && limit; cluster = next(fat, cluster), limit--)
		for (uint32_t i = 0; i < fat->per_cluster; i++) {
			if (!fat->disk->read(fat->disk, place(fat, cluster) + i, 1, sector))
				return false;
			for (const uint8_t *raw = sector; raw < sector + SECTOR; raw += ENTRY) {
				if (raw[0] == 0)
					return false;
				if (raw[0] == DELETED) {
					sum = -1;
					continue;
				}
				if (raw[11] == ATTRIBUTE_LONG_NAME) {
					if (raw[0] & LAST_PART)
						memset(found->name, 0, sizeof(found->name));
					if (raw[0] & LAST_PART || sum == raw[13])
						sum = read_long_name(raw, found->name) ? raw[13] : -1;
					continue;
				}
				bool has_long_name = sum == checksum(raw);
				sum = -1;
				if (raw[11] & ATTRIBUTE_VOLUME)
					continue;
				read_short_name(raw, found->short_name);
				found->directory = raw[11] & ATTRIBUTE_DIRECTORY;
				found->size = little(raw + 28, 4);
				found->cluster = little(raw + 20, 2) << 16 | little(raw + 26, 2);
				if (!name && !found->directory)
					each(has_long_name ? found->name : found->short_name);
				if (name && ((has_long_name && equal_without_case(found->name, name)) ||
						equal_without_case(found->short_name, name)))
					return true;
			}
		}
	return false;
}

static bool
find(struct fat32 *fat, const char *path, struct entry *found)
{
	char name[256];
	size_t size;

	memset(found, 0, sizeof(*found));
	found->cluster = fat->root;
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
		if (!found->directory || !walk(fat, found->cluster, name, found, NULL))
			return false;
		if (found->directory ? found->size != 0 : (found->size != 0) != (found->cluster != 0))
			fail("%s has size %d and first cluster %d on the FAT file system", name, (uint64_t)found->size,
			    (uint64_t)found->cluster);
	}
}

bool
fat_open(struct volume *volume, const char *path, struct file *file)
{
	static struct entry found;

	if (!find(volume->fat, path, &found) || found.directory)
		return false;
	file->start = found.cluster;
	file->size = found.size;
	return true;
}

bool
fat_read(struct file *file, void *to)
{
	struct fat32 *fat = file->volume->fat;
	uint32_t cluster = file->start, cluster_size = fat->per_cluster * SECTOR;
	uint64_t left = file->size;
	static uint8_t last[SECTOR];
	uint8_t *at = to;

	while (left) {
		uint32_t first = cluster, count = 1;
		if (!is_cluster(fat, cluster))
			return false;
		while ((cluster = next(fat, cluster)) == first + count && (uint64_t)count * cluster_size < left)
			count++;
		uint64_t run = (uint64_t)count * cluster_size < left ? (uint64_t)count * cluster_size : left;
		uint32_t whole = (uint32_t)(run / SECTOR), rest = (uint32_t)(run % SECTOR);
		if (whole && !fat->disk->read(fat->disk, place(fat, first), whole, at))
			return false;
		if (rest) {
			if (!fat->disk->read(fat->disk, place(fat, first) + whole, 1, last))
				return false;
			memcpy(at + whole * SECTOR, last, rest);
		}
		at += run;
		left -= run;
	}
	return true;
}

void
fat_close(struct file *file)
{
	(void)file;
}

void
fat_list(struct volume *volume, const char *path, void (*each)(const char *name))
{
	static struct entry found;

	if (find(volume->fat, path, &found) && found.directory)
		walk(volume->fat, found.cluster, NULL, &found, each);
}
