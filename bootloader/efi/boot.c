/* What would be booted: the kernel with its arguments, and the modules, each read whole. */
#include "standin.h"

enum { PIECE = 1 << 20, MULTIBOOT_RANGE = 32768 };

static uint8_t piece[PIECE] __attribute__((aligned(4096)));
static int missing;

/* Variables that the loader itself uses, and does not pass on as properties. */
static bool
is_for_loader(const char *name)
{
	static const char *const own[] = {"console", "os_console", "kernel", "autoboot_delay", "beastie_disable"};
	static const char *const endings[] = {"_load", "_name", "_type", "_hash", "_flags", "_before", "_after", "_error"};

	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (equal(name, own[i]))
			return true;
	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++)
		if (ends(name, endings[i]))
			return true;
	return starts(name, "loader_");
}

static void
report_arguments(void)
{
	const char *console = conf_get("os_console");
	const char *between = "";

	say("LOADER-STANDIN arguments: -B ");
	if (console) {
		say("console=%s", console);
		between = ",";
	}
	for (int i = 0; i < variable_count; i++) {
		if (variables[i].standard || is_for_loader(variables[i].name))
			continue;
		bool comma = false;
		for (const char *c = variables[i].value; *c; c++)
			comma |= *c == ',';
		say(comma ? "%s%s=\"%s\"" : "%s%s=%s", between, variables[i].name, variables[i].value);
		between = ",";
	}
	say("\n");
}

/* Size and CRC-32 of a file, or of that with .gz behind its name, which the loader would inflate. */
static void
report_file(struct volume *volume, const char *template, bool kernel)
{
	static const char isa[] = "${ISADIR}";
	char path[260];
	size_t count = 0;
	struct file file;
	uint32_t crc = 0;
	bool header = false;

	while (*template && count < 250) {
		if (starts(template, isa)) {
			memcpy(path + count, "amd64", 5);
			count += 5;
			template += sizeof(isa) - 1;
		} else {
			path[count++] = *template++;
		}
	}
	path[count] = 0;
	if (!volume_open(volume, path, &file)) {
		memcpy(path + count, ".gz", 4);
		if (!volume_open(volume, path, &file)) {
			path[count] = 0;
			say("path=%s MISSING\n", path);
			missing++;
			return;
		}
	}
	for (uint64_t offset = 0; offset < file.size; offset += PIECE) {
		uint32_t part = file.size - offset < PIECE ? (uint32_t)(file.size - offset) : PIECE;
		if (!file_read(&file, offset, piece, part))
			fail("%s cannot be read at byte %d of %d", path, offset, file.size);
		crc = crc32(crc, piece, part);
		if (offset == 0 && file.size >= MULTIBOOT_RANGE)
			for (uint32_t at = 0; at < MULTIBOOT_RANGE; at += 8)
				header |= !memcmp(piece + at, "\xd6\x50\x52\xe8", 4);
	}
	say("path=%s size=%d crc32=%x\n", path, file.size, crc);
	file_close(&file);
	if (kernel && !header && !ends(path, ".gz"))
		fail("%s is no kernel: it has no multiboot 2 header in its first 32 KiB", path);
}

static const char *
of_module(const char *name, size_t count, const char *what)
{
	char variable[256];

	if (count + length(what) >= sizeof(variable))
		return NULL;
	memcpy(variable, name, count);
	memcpy(variable + count, what, length(what) + 1);
	return conf_get(variable);
}

void
boot_report(struct volume *volume)
{
	const char *kernel = conf_get("kernel");

	report_arguments();
	say("LOADER-STANDIN kernel: ");
	report_file(volume, kernel ? kernel : "/platform/i86pc/kernel/amd64/unix", true);
	for (int i = 0; i < variable_count; i++) {
		const char *name = variables[i].name, *type, *file, *flags;
		if (!ends(name, "_load") || (!equal(variables[i].value, "YES") && !equal(variables[i].value, "yes")))
			continue;
		size_t count = length(name) - 5;
		char module[64];
		if (count > 63)
			continue;
		memcpy(module, name, count);
		module[count] = 0;
		type = of_module(name, count, "_type");
		file = of_module(name, count, "_name");
		flags = of_module(name, count, "_flags");
		say("LOADER-STANDIN module: name=%s type=%s flags=[%s] ", module, type ? type : "-", flags ? flags : "");
		report_file(volume, file ? file : module, false);
	}
	if (missing)
		fail("files that are to be loaded are missing: %d", (uint64_t)missing);
}
