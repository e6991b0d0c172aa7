/* What the parts of the loader stand-in offer each other. */
#ifndef STANDIN_H
#define STANDIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* text.c: strings, and what every C compiler expects to find. */
void *memcpy(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);
int memcmp(const void *a, const void *b, size_t count);
size_t length(const char *text);
bool equal(const char *a, const char *b);
bool starts(const char *text, const char *start);
bool ends(const char *text, const char *end);
uint32_t crc32(uint32_t crc, const uint8_t *data, size_t count); /* as in zlib; 0 to begin with */

/* console.c: where the report goes.  Until a console is chosen, that is everywhere. */
/* Make the named console the one to print on; speed: that of the port as it is now.  False: it is not there. */
bool console_choose(const char *name, const char *mode, uint32_t *speed);
/* Formats: %s a string, %d an unsigned 64-bit number, %x 32 bits in eight hexadecimal digits. */
void say(const char *format, ...);
_Noreturn void fail(const char *format, ...);
/* End QEMU with status (value << 1) | 1 by its isa-debug-exit device; a machine without it is switched off. */
_Noreturn void leave(uint8_t value);

/* A disk, as the firmware reads it. */
struct disk {
	bool (*read)(const struct disk *disk, uint64_t block, uint32_t count, void *to);
	uint32_t block_size; /* bytes */
	void *device;
};

/* gpt.c: partitions. */
struct place {
	uint32_t partition; /* number in the GPT, from 1; 0 when it is not a partition */
	char name[37];
	uint64_t first, sectors;
};
bool gpt_entry(const struct disk *disk, uint32_t number, struct place *place); /* false: no such partition */
bool gpt_find(const struct disk *disk, uint64_t first, struct place *place);

/* iso9660.c: a reader for ISO 9660 with the names of Rock Ridge. */
struct iso {
	const struct disk *disk;
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
bool iso_open(struct iso *iso, const struct disk *disk);
bool iso_find(struct iso *iso, const char *path, struct iso_file *found);
void iso_list(struct iso *iso, const char *path, void (*each)(const char *name)); /* regular files */
bool iso_read(const struct iso *iso, uint32_t sector, uint64_t size, void *to);

/* volume.c: files of a FAT file system and of an ISO 9660 one alike. */
struct volume {
	void *fat; /* what the FAT reader needs, or NULL for an ISO 9660 file system */
	struct iso iso;
};
struct file {
	struct volume *volume;
	uint64_t size;
	void *handle;
	uint32_t start; /* sector or cluster */
};
bool volume_open(struct volume *volume, const char *path, struct file *file); /* regular files only */
bool file_read(struct file *file, void *to); /* all of it */
void file_close(struct file *file);
int volume_list(struct volume *volume, const char *path, char names[][64], int most); /* regular files, sorted */

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
bool is_of_module(const char *name); /* whether a variable is one of a boot module's */

/* boot.c: the kernel, its arguments and its modules. */
struct kernel {
	uint8_t *data;        /* the whole file, wherever it is now */
	uint32_t from, size;  /* bytes: the part of it that goes */
	uint32_t to, end;     /* to this address, with zeros up to that one */
	uint32_t entry;       /* in 32-bit protected mode */
	uint32_t information; /* address of what multiboot 2 hands over */
};
_Noreturn void boot(struct volume *volume);

/* run.c: read the settings of the root, choose the console, report, boot.  `label` is that of a CD. */
_Noreturn void run(const char *origin, const struct place *root, struct volume *volume);

/* What differs between BIOS and UEFI: in bios/ and efi/. */
void firmware_put(char character, bool chosen);     /* on the screen, or before the choice on all consoles */
void *firmware_memory(uint64_t size);               /* whole pages below 4 GiB, or NULL */
_Noreturn void firmware_start(const struct kernel *kernel);
_Noreturn void firmware_off(void);
bool fat_open(struct volume *volume, const char *path, struct file *file);
bool fat_read(struct file *file, void *to);
void fat_close(struct file *file);
void fat_list(struct volume *volume, const char *path, void (*each)(const char *name)); /* regular files */

#endif
