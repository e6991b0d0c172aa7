/* The partitions of a disk, from its primary GUID partition table. */
#include "standin.h"

enum { ENTRY_SIZE = 128, HEADER_BLOCK = 1, MOST = 128 };

bool
gpt_entry(const struct disk *disk, uint32_t number, struct place *place)
{
	static uint8_t block[4096] __attribute__((aligned(4096)));
	static const uint8_t unused[16];
	uint32_t count, size = disk->block_size;
	uint64_t array, last;

	if (size > sizeof(block) || !disk->read(disk, HEADER_BLOCK, 1, block) || memcmp(block, "EFI PART", 8))
		return false;
	memcpy(&array, block + 72, 8);
	memcpy(&count, block + 80, 4);
	if (number < 1 || number > count || block[84] != ENTRY_SIZE)
		return false;
	uint32_t at = (number - 1) * ENTRY_SIZE;
	if (!disk->read(disk, array + at / size, 1, block))
		return false;
	const uint8_t *entry = block + at % size;
	if (!memcmp(entry, unused, sizeof(unused)))
		return false;
	memset(place, 0, sizeof(*place));
	place->partition = number;
	memcpy(&place->first, entry + 32, 8);
	memcpy(&last, entry + 40, 8);
	place->sectors = last - place->first + 1;
	for (int i = 0; i < 36; i++)
		place->name[i] = (char)entry[56 + 2 * i];
	return true;
}

bool
gpt_find(const struct disk *disk, uint64_t first, struct place *place)
{
	for (uint32_t number = 1; number <= MOST; number++)
		if (gpt_entry(disk, number, place) && place->first == first)
			return true;
	return false;
}
