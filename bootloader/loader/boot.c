/* The kernel with its arguments, and the modules: each read whole, shown, and handed over by multiboot 2. */
#include "standin.h"

enum { HEADER_RANGE = 32768, MOST_MODULES = 32, INFORMATION_SIZE = 32 * 1024 };
#define HEADER_MAGIC 0xe85250d6
/* Multiboot 2: tags in a kernel's header, and in what is handed over to it. */
enum { HEADER_END = 0, HEADER_ADDRESS = 2, HEADER_ENTRY = 3 };
enum { TAG_END = 0, TAG_ARGUMENTS = 1, TAG_LOADER = 2, TAG_MODULE = 3 };

struct loaded {
	char path[260], string[512];
	uint8_t *data;
	uint32_t size;
};

static struct loaded kernel_file, modules[MOST_MODULES];
static int module_count, missing;
static bool compressed;
static char arguments[4096];

static void
append(char *to, size_t most, const char *text)
{
	size_t count = length(to);

	if (count + length(text) >= most)
		fail("the kernel's arguments are too long");
	memcpy(to + count, text, length(text) + 1);
}

/* Variables that the loader itself uses, and does not pass on as properties. */
static bool
is_for_loader(const char *name)
{
	static const char *const own[] = {"console", "os_console", "kernel", "autoboot_delay", "beastie_disable"};

	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (equal(name, own[i]))
			return true;
	return is_of_module(name) || starts(name, "loader_");
}

static void
make_arguments(void)
{
	const char *console = conf_get("os_console"), *between = "";

	append(arguments, sizeof(arguments), "-B ");
	if (console) {
		append(arguments, sizeof(arguments), "console=");
		append(arguments, sizeof(arguments), console);
		between = ",";
	}
	for (int i = 0; i < variable_count; i++) {
		if (variables[i].standard || is_for_loader(variables[i].name))
			continue;
		bool comma = false;
		for (const char *c = variables[i].value; *c; c++)
			comma |= *c == ',';
		const char *quote = comma ? "\"" : "";
		const char *parts[] = {between, variables[i].name, "=", quote, variables[i].value, quote};
		for (size_t part = 0; part < sizeof(parts) / sizeof(*parts); part++)
			append(arguments, sizeof(arguments), parts[part]);
		between = ",";
	}
}

/* Read a file, or that with .gz behind its name, which the real loader would inflate; show its size and CRC-32. */
static bool
load(struct volume *volume, const char *template, struct loaded *loaded)
{
	static const char isa[] = "${ISADIR}";
	size_t count = 0;
	struct file file;

	while (*template && count < 250) {
		if (starts(template, isa)) {
			memcpy(loaded->path + count, "amd64", 5);
			count += 5;
			template += sizeof(isa) - 1;
		} else {
			loaded->path[count++] = *template++;
		}
	}
	loaded->path[count] = 0;
	if (!volume_open(volume, loaded->path, &file)) {
		memcpy(loaded->path + count, ".gz", 4);
		if (!volume_open(volume, loaded->path, &file)) {
			loaded->path[count] = 0;
			say("path=%s MISSING\n", loaded->path);
			missing++;
			return false;
		}
		compressed = true;
	}
	loaded->data = firmware_memory(file.size);
	if (!loaded->data)
		fail("not enough memory for %s: %d bytes", loaded->path, file.size);
	loaded->size = (uint32_t)file.size;
	if (!file_read(&file, loaded->data))
		fail("%s cannot be read", loaded->path);
	file_close(&file);
	say("path=%s size=%d crc32=%x\n", loaded->path, file.size, crc32(0, loaded->data, loaded->size));
	return true;
}

static const char *
of_module(const char *name, const char *what)
{
	static char variable[128];

	variable[0] = 0;
	append(variable, sizeof(variable), name);
	append(variable, sizeof(variable), what);
	return conf_get(variable);
}

static void
load_module(struct volume *volume, const char *name)
{
	const char *type = of_module(name, "_type"), *file = of_module(name, "_name");
	const char *flags = of_module(name, "_flags");
	struct loaded *module = &modules[module_count];

	say("LOADER-STANDIN module: name=%s type=%s flags=[%s] ", name, type ? type : "-", flags ? flags : "");
	if (!load(volume, file ? file : name, module))
		return;
	append(module->string, sizeof(module->string), module->path);
	if (type) {
		append(module->string, sizeof(module->string), " type=");
		append(module->string, sizeof(module->string), type);
	}
	if (flags) {
		append(module->string, sizeof(module->string), " ");
		append(module->string, sizeof(module->string), flags);
	}
	module_count++;
}

static uint32_t
word(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, 4);
	return value;
}

/* Where the kernel's multiboot 2 header wants it. */
static void
read_header(struct kernel *kernel)
{
	const uint8_t *data = kernel_file.data, *header = NULL;
	uint32_t at, size = 0;

	if (kernel_file.size < HEADER_RANGE)
		fail("%s is no kernel: it is shorter than 32 KiB", kernel_file.path);
	for (at = 0; at + 16 <= HEADER_RANGE && !header; at += 8) {
		uint32_t sum = word(data + at) + word(data + at + 4) + word(data + at + 8) + word(data + at + 12);
		if (word(data + at) == HEADER_MAGIC && sum == 0)
			header = data + at;
	}
	if (header)
		size = word(header + 8);
	if (!header || size > HEADER_RANGE - (uint32_t)(header - data))
		fail("%s is no kernel: it has no multiboot 2 header in its first 32 KiB", kernel_file.path);
	kernel->data = kernel_file.data;
	for (const uint8_t *tag = header + 16; tag + 8 <= header + size && word(tag) != HEADER_END;) {
		if (tag[0] == HEADER_ADDRESS) { /* header, start and end of the part to load, end of the zeros */
			kernel->to = word(tag + 12);
			kernel->from = (uint32_t)(header - data) - (word(tag + 8) - kernel->to);
			kernel->size = word(tag + 16) ? word(tag + 16) - kernel->to : kernel_file.size - kernel->from;
			kernel->end = word(tag + 20) ? word(tag + 20) : kernel->to + kernel->size;
		} else if (tag[0] == HEADER_ENTRY) {
			kernel->entry = word(tag + 8);
		}
		if (word(tag + 4) < 8)
			break;
		tag += (word(tag + 4) + 7) & ~7u;
	}
	if (!kernel->entry || !kernel->to || kernel->from > kernel_file.size ||
	    kernel->size > kernel_file.size - kernel->from || kernel->end < kernel->to + kernel->size)
		fail("%s has a multiboot 2 header without sensible addresses", kernel_file.path);
}

/* Append a tag of two numbers (for a module) and a text to the information that the kernel gets. */
static uint8_t *
put_tag(uint8_t *at, uint32_t type, const uint32_t *numbers, const char *text)
{
	uint32_t size = 8;

	if (numbers) {
		memcpy(at + size, numbers, 8);
		size += 8;
	}
	if (text) {
		memcpy(at + size, text, length(text) + 1);
		size += (uint32_t)length(text) + 1;
	}
	memcpy(at, &type, 4);
	memcpy(at + 4, &size, 4);
	return at + ((size + 7) & ~7u);
}

static uint32_t
make_information(void)
{
	uint8_t *start = firmware_memory(INFORMATION_SIZE), *at = start + 8;
	static char line[sizeof(kernel_file.path) + sizeof(arguments)];

	if (!start)
		fail("not enough memory");
	append(line, sizeof(line), kernel_file.path);
	append(line, sizeof(line), " ");
	append(line, sizeof(line), arguments);
	at = put_tag(at, TAG_ARGUMENTS, NULL, line);
	at = put_tag(at, TAG_LOADER, NULL, "imagekit stand-in");
	for (int i = 0; i < module_count; i++) {
		uint32_t begin = (uint32_t)(uintptr_t)modules[i].data, bounds[] = {begin, begin + modules[i].size};
		at = put_tag(at, TAG_MODULE, bounds, modules[i].string);
	}
	at = put_tag(at, TAG_END, NULL, NULL);
	uint32_t head[] = {(uint32_t)(at - start), 0};
	memcpy(start, head, 8);
	return (uint32_t)(uintptr_t)start;
}

_Noreturn void
boot(struct volume *volume)
{
	const char *path = conf_get("kernel");
	struct kernel kernel = {0};

	make_arguments();
	say("LOADER-STANDIN arguments: %s\n", arguments);
	say("LOADER-STANDIN kernel: ");
	bool found = load(volume, path ? path : "/platform/i86pc/kernel/amd64/unix", &kernel_file);
	for (int i = 0; i < variable_count; i++) {
		char name[64];
		size_t count = length(variables[i].name);
		if (!ends(variables[i].name, "_load") || count - 5 >= sizeof(name) ||
		    (!equal(variables[i].value, "YES") && !equal(variables[i].value, "yes")))
			continue;
		memcpy(name, variables[i].name, count - 5);
		name[count - 5] = 0;
		if (module_count == MOST_MODULES)
			fail("more than 32 modules");
		load_module(volume, name);
	}
	if (missing)
		fail("files that are to be loaded are missing: %d", (uint64_t)missing);
	if (compressed || !found) {
		say("LOADER-STANDIN-END this stand-in does not inflate files, and ends here\n");
		leave(0x13);
	}
	read_header(&kernel);
	kernel.information = make_information();
	say("LOADER-STANDIN starts the kernel\n");
	firmware_start(&kernel);
}
