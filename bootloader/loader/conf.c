/*
 * The loader.conf files, in the order and with the grammar of the illumos loader:
 *     line  = [spaces] [ name [spaces] "=" [spaces] value [spaces] ] [ "#" anything ]
 *     name  = a letter, then letters, digits, "_", "-", "."
 *     value = text in double or single quotes, where a backslash takes the next character as it is; or a word of
 *             letters, digits and _ . , - @ / : that begins with a letter or a digit
 * A line that is none of this (one that ends in CR, say) is an error, and the rest of its file is ignored.
 */
#include "standin.h"

enum { POOL_SIZE = 256 * 1024, FILE_LIMIT = 64 * 1024 };

struct variable variables[256];
int variable_count;
struct syntax_error syntax_errors[16];
int syntax_error_count;
const char *conf_files[64];
int conf_file_count;

static char pool[POOL_SIZE]; /* all names and values */
static size_t pool_used;

static const char *
keep(const char *text, size_t count)
{
	char *kept = pool + pool_used;

	if (pool_used + count + 1 > POOL_SIZE)
		fail("the loader.conf files are too large");
	memcpy(kept, text, count);
	kept[count] = 0;
	pool_used += count + 1;
	return kept;
}

static bool
letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
one_of(char c, const char *set)
{
	while (*set && *set != c)
		set++;
	return *set;
}

static const char *
spaces(const char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

static void
set(const char *name, const char *value, const char *file, bool standard)
{
	int i;

	for (i = 0; i < variable_count && !equal(variables[i].name, name); i++)
		;
	if (i == 256)
		fail("more than 256 variables");
	if (i == variable_count)
		variable_count++;
	variables[i] = (struct variable){name, value, file, standard};
}

/* Read one line (without its end); what is wrong with it, or NULL. */
static const char *
read_line(const char *at, const char *file, bool standard)
{
	char value[4096];
	size_t count = 0;
	const char *start = at = spaces(at);

	if (*at == 0 || *at == '#')
		return NULL;
	if (!letter(*at))
		return "a name begins with a letter";
	while (letter(*at) || digit(*at) || one_of(*at, "_-."))
		at++;
	const char *name = keep(start, (size_t)(at - start));
	at = spaces(at);
	if (*at != '=')
		return "no = behind the name";
	at = spaces(at + 1);
	if (*at == '"' || *at == '\'') {
		char quote = *at++;
		for (; *at != quote; at++) {
			if (*at == '\\')
				at++;
			if (*at == 0)
				return "the closing quote is missing";
			if (count == sizeof(value))
				return "the value is too long";
			value[count++] = *at;
		}
		at++;
	} else if (letter(*at) || digit(*at)) {
		for (; letter(*at) || digit(*at) || one_of(*at, "_.,-@/:"); at++) {
			if (count == sizeof(value))
				return "the value is too long";
			value[count++] = *at;
		}
	} else {
		return "no value";
	}
	at = spaces(at);
	if (*at == '\r')
		return "a carriage return";
	if (*at != 0 && *at != '#')
		return "something behind the value";
	set(name, keep(value, count), file, standard);
	return NULL;
}

static void
read_file(struct volume *volume, const char *path, bool standard)
{
	static char text[FILE_LIMIT + 1];
	struct file file;
	uint32_t line = 1;

	if (!volume_open(volume, path, &file))
		return;
	if (file.size > FILE_LIMIT)
		fail("%s is larger than 64 KiB", path);
	if (!file_read(&file, text))
		fail("%s cannot be read", path);
	text[file.size] = 0;
	file_close(&file);
	path = keep(path, length(path));
	if (conf_file_count < 64)
		conf_files[conf_file_count++] = path;
	for (char *start = text, *end = text;; start = ++end, line++) {
		while (*end && *end != '\n')
			end++;
		bool more = *end;
		*end = 0;
		const char *reason = read_line(start, path, standard);
		if (reason) {
			if (syntax_error_count < 16)
				syntax_errors[syntax_error_count++] = (struct syntax_error){path, line, reason};
			return;
		}
		if (!more)
			return;
	}
}

void
conf_read(struct volume *volume)
{
	static char names[64][64];
	char path[96] = "/boot/conf.d/";
	int count;

	read_file(volume, "/boot/defaults/loader.conf", true);
	read_file(volume, "/boot/loader.conf", false);
	read_file(volume, "/boot/loader.conf.local", false);
	count = volume_list(volume, "/boot/conf.d", names, 64);
	for (int i = 0; i < count; i++) {
		memcpy(path + 13, names[i], length(names[i]) + 1);
		read_file(volume, path, false);
	}
	read_file(volume, "/boot/transient.conf", false);
}

const char *
conf_get(const char *name)
{
	for (int i = 0; i < variable_count; i++)
		if (equal(variables[i].name, name))
			return variables[i].value;
	return NULL;
}
