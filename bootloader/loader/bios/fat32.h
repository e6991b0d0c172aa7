/* A FAT32 file system on a disk with sectors of 512 bytes. */
#ifndef FAT32_H
#define FAT32_H

#include "../standin.h"

struct fat32 {
	const struct disk *disk;
	uint64_t fat, data;  /* sectors: of the first FAT, of cluster 2 */
	uint32_t per_cluster; /* sectors */
	uint32_t root, clusters;
	uint64_t cached; /* which sector of the FAT is in `sector`; 0 none */
	uint8_t sector[512];
};
bool fat32_mount(struct fat32 *fat, const struct disk *disk, uint64_t first);

#endif
