/* What the parts of the loader stand-in offer each other. */
#ifndef STANDIN_H
#define STANDIN_H

#include <stdbool.h>

#include "efi.h"

extern EFI_SYSTEM_TABLE *firmware;

/* text.c: strings, and what every C compiler expects to find. */
void *memcpy(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);
int memcmp(const void *a, const void *b, size_t count);
size_t length(const char *text);
bool equal(const char *a, const char *b);
bool starts(const char *text, const char *start);
bool ends(const char *text, const char *end);
uint32_t crc32(uint32_t crc, const uint8_t *data, size_t count); /* as in zlib; 0 to begin with */

/* console.c: where the report goes.  Until a console is chosen, say() goes to the firmware's consoles and 0xe9.
   Formats: %s a string, %d an unsigned 64-bit number, %x 32 bits in eight hexadecimal digits. */
/* Make the named console the one to print on; speed: that of the port as it is now.  False: it is not there. */
bool console_choose(const char *name, const char *mode, uint32_t *speed);
void say(const char *format, ...);
_Noreturn void fail(const char *format, ...);
_Noreturn void leave(uint8_t value);

/* iso9660.c: a reader for ISO 9660 with the names of Rock Ridge. */
struct iso {
	EFI_BLOCK_IO *device;
	uint32_t root, root_size;
	bool rock_ridge;
	uint8_t skip; /* bytes before the system use entries of each record */
	char label[33];
};
struct iso_file {
	char name[256];
	uint32_t sector, size;
	bool directory;
};
bool iso_open(struct iso *iso, EFI_BLOCK_IO *device);
bool iso_find(struct iso *iso, const char *path, struct iso_file *found);
void iso_list(struct iso *iso, const struct iso_file *directory, void (*each)(const struct iso_file *));
bool iso_read(struct iso *iso, uint32_t sector, uint32_t count, void *buffer); /* count in sectors of 2048 bytes */

/* volume.c: a file system, be it one that the firmware reads (FAT) or an ISO 9660 one. */
struct volume {
	EFI_FILE *fat; /* the root directory, or NULL for an ISO 9660 file system */
	struct iso iso;
};
struct file {
	struct volume *volume;
	uint64_t size;
	EFI_FILE *fat;
	uint32_t sector;
};
bool volume_open(struct volume *volume, const char *path, struct file *file); /* regular files only */
bool file_read(struct file *file, uint64_t offset, void *buffer, uint32_t count); /* offset in whole sectors of 2048 */
void file_close(struct file *file);
int volume_list(struct volume *volume, const char *path, char names[][64], int most); /* regular files, sorted */

/* root.c: where this program came from, and the file system that it boots from. */
struct place {
	uint32_t partition; /* number in the GPT, from 1; 0 when it is not a partition */
	char name[37];
	uint64_t first, sectors;
	bool cd;
	uint32_t entry; /* of the boot catalog */
};
bool root_find(EFI_HANDLE image, struct place *origin, struct place *root, struct volume *volume);

/* conf.c: the variables of the loader.conf files. */
struct variable {
	const char *name, *value, *file;
	bool standard; /* as /boot/defaults/loader.conf has it */
};
struct syntax_error {
	const char *file;
	uint32_t line;
	const char *reason;
};
extern struct variable variables[256];
extern int variable_count;
extern struct syntax_error syntax_errors[16];
extern int syntax_error_count;
extern const char *conf_files[64];
extern int conf_file_count;
void conf_read(struct volume *volume);
const char *conf_get(const char *name); /* or NULL */

/* boot.c: what would be booted. */
void boot_report(struct volume *volume);

#endif
