/* The part of UEFI that the loader stand-in uses; names and layouts are the specification's. */
#ifndef EFI_H
#define EFI_H

#include <stddef.h>
#include <stdint.h>

typedef uint64_t EFI_STATUS; /* 0 is success, the top bit marks an error */
typedef void *EFI_HANDLE;
typedef wchar_t CHAR16; /* 16 bits for this target */
typedef void EFI_UNUSED(void); /* a service that is not used here */

typedef struct {
	uint32_t a;
	uint16_t b, c;
	uint8_t d[8];
} EFI_GUID;

typedef struct {
	uint64_t signature;
	uint32_t revision, header_size, crc32, reserved;
} EFI_TABLE_HEADER;

typedef struct EFI_TEXT_OUTPUT {
	EFI_UNUSED *reset;
	EFI_STATUS (*output_string)(struct EFI_TEXT_OUTPUT *, const CHAR16 *);
} EFI_TEXT_OUTPUT;

enum { EFI_ALLOCATE_BELOW = 1, EFI_LOADER_DATA = 2, EFI_LOCATE_BY_PROTOCOL = 2 };

typedef struct {
	EFI_TABLE_HEADER header;
	EFI_UNUSED *raise_tpl, *restore_tpl;
	EFI_STATUS (*allocate_pages)(int how, int type, uint64_t pages, uint64_t *address);
	EFI_UNUSED *free_pages;
	EFI_STATUS (*get_memory_map)(uint64_t *size, void *map, uint64_t *key, uint64_t *entry_size, uint32_t *version);
	EFI_UNUSED *allocate_pool, *free_pool;
	EFI_UNUSED *create_event, *set_timer, *wait_for_event, *signal_event, *close_event, *check_event;
	EFI_UNUSED *install_protocol, *reinstall_protocol, *uninstall_protocol;
	EFI_STATUS (*handle_protocol)(EFI_HANDLE, const EFI_GUID *, void *interface);
	void *reserved;
	EFI_UNUSED *register_notify, *locate_handle, *locate_device_path, *install_table;
	EFI_UNUSED *load_image, *start_image, *exit, *unload_image;
	EFI_STATUS (*exit_boot_services)(EFI_HANDLE, uint64_t key);
	EFI_UNUSED *get_next_monotonic_count;
	EFI_STATUS (*stall)(uint64_t microseconds);
	EFI_STATUS (*set_watchdog_timer)(uint64_t seconds, uint64_t code, uint64_t size, CHAR16 *data);
	EFI_STATUS (*connect_controller)(EFI_HANDLE, EFI_HANDLE *drivers, void *path, uint8_t recursive);
	EFI_UNUSED *disconnect_controller, *open_protocol, *close_protocol, *open_protocol_information;
	EFI_UNUSED *protocols_per_handle;
	EFI_STATUS (*locate_handle_buffer)(int how, const EFI_GUID *, void *key, uint64_t *count, EFI_HANDLE **);
} EFI_BOOT_SERVICES;

enum { EFI_RESET_SHUTDOWN = 2 };

typedef struct {
	EFI_TABLE_HEADER header;
	EFI_UNUSED *get_time, *set_time, *get_wakeup_time, *set_wakeup_time;
	EFI_UNUSED *set_virtual_address_map, *convert_pointer;
	EFI_UNUSED *get_variable, *get_next_variable_name, *set_variable, *get_next_high_monotonic_count;
	void (*reset_system)(int how, EFI_STATUS, uint64_t size, void *data);
} EFI_RUNTIME_SERVICES;

typedef struct {
	EFI_TABLE_HEADER header;
	const CHAR16 *firmware_vendor;
	uint32_t firmware_revision;
	EFI_HANDLE console_in_handle;
	void *console_in;
	EFI_HANDLE console_out_handle;
	EFI_TEXT_OUTPUT *console_out;
	EFI_HANDLE standard_error_handle;
	EFI_TEXT_OUTPUT *standard_error;
	EFI_RUNTIME_SERVICES *runtime;
	EFI_BOOT_SERVICES *boot;
} EFI_SYSTEM_TABLE;

typedef struct {
	uint32_t revision;
	EFI_HANDLE parent;
	EFI_SYSTEM_TABLE *system;
	EFI_HANDLE device; /* what the program was loaded from */
} EFI_LOADED_IMAGE;

typedef struct {
	uint32_t media_id;
	uint8_t removable, present, logical_partition, read_only, write_caching;
	uint32_t block_size, io_align;
	uint64_t last_block;
} EFI_BLOCK_MEDIA;

typedef struct EFI_BLOCK_IO {
	uint64_t revision;
	EFI_BLOCK_MEDIA *media;
	EFI_UNUSED *reset;
	EFI_STATUS (*read_blocks)(struct EFI_BLOCK_IO *, uint32_t media_id, uint64_t block, uint64_t size, void *);
} EFI_BLOCK_IO;

enum { EFI_FILE_READ = 1, EFI_FILE_DIRECTORY = 0x10 };

typedef struct {
	uint64_t size, file_size, physical_size;
	uint8_t times[3][16];
	uint64_t attribute;
	CHAR16 name[256];
} EFI_FILE_INFO;

typedef struct EFI_FILE {
	uint64_t revision;
	EFI_STATUS (*open)(struct EFI_FILE *, struct EFI_FILE **, const CHAR16 *, uint64_t mode, uint64_t attributes);
	EFI_STATUS (*close)(struct EFI_FILE *);
	EFI_UNUSED *delete_;
	EFI_STATUS (*read)(struct EFI_FILE *, uint64_t *size, void *);
	EFI_UNUSED *write, *get_position;
	EFI_STATUS (*set_position)(struct EFI_FILE *, uint64_t);
	EFI_STATUS (*get_info)(struct EFI_FILE *, const EFI_GUID *, uint64_t *size, void *);
} EFI_FILE;

typedef struct EFI_SIMPLE_FILE_SYSTEM {
	uint64_t revision;
	EFI_STATUS (*open_volume)(struct EFI_SIMPLE_FILE_SYSTEM *, EFI_FILE **);
} EFI_SIMPLE_FILE_SYSTEM;

enum { EFI_PATH_MEDIA = 4, EFI_PATH_HARD_DRIVE = 1, EFI_PATH_CDROM = 2, EFI_PATH_END = 0x7f };

typedef struct __attribute__((packed)) {
	uint8_t type, subtype;
	uint16_t length;
	union {
		struct __attribute__((packed)) {
			uint32_t number; /* of the partition, from 1 */
			uint64_t first, sectors;
		} hard_drive;
	};
} EFI_DEVICE_PATH;

/* clang-format off */
#define EFI_LOADED_IMAGE_GUID       {0x5b1b31a1, 0x9562, 0x11d2, {0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}}
#define EFI_DEVICE_PATH_GUID        {0x09576e91, 0x6d3f, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}}
#define EFI_BLOCK_IO_GUID           {0x964e5b21, 0x6459, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}}
#define EFI_SIMPLE_FILE_SYSTEM_GUID {0x964e5b22, 0x6459, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}}
#define EFI_FILE_INFO_GUID          {0x09576e92, 0x6d3f, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}}
#define EFI_TEXT_OUTPUT_GUID        {0x387477c2, 0x69c7, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}}
#define EFI_GRAPHICS_OUTPUT_GUID    {0x9042a9de, 0x23dc, 0x4a38, {0x96, 0xfb, 0x7a, 0xde, 0xd0, 0x80, 0x51, 0x6a}}
/* clang-format on */

#endif
