/*
 * The loader.conf files, in the order and with the grammar of the illumos loader:
 *     line  = [spaces] [ name [spaces] "=" [spaces] value [spaces] ] [ "#" anything ]
 *     name  = a letter, then letters, digits, "_", "-", ".", ",", "/"
 *     value = text in double or single quotes, where a backslash takes the next character as it is and is dropped; or
 *             a word of letters, digits and _ . , - @ / : that begins with a letter, a digit, "-", "/" or ":"
 * The value of a boot module's variable is what is in the quotes.  Any other goes through the command "set", which knows
 * both kinds of quotes and, but for single ones, $NAME and ${NAME}; what it cannot take is an error as well.
 * Behind an error the rest of its file is ignored.  The loader reads 80 bytes at a time, and what is left of those is
 * where the next file begins.
 */
#include "standin.h"

enum { POOL_SIZE = 256 * 1024, FILE_LIMIT = 64 * 1024, CHUNK = 80, LINE_LIMIT = 4096, LONGEST = 1023 };

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

bool
is_of_module(const char *name)
{
	static const char *const endings[] = {
	    "_load", "_name", "_type", "_hash", "_flags", "_before", "_after", "_error"};

	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++)
		if (ends(name, endings[i]) && !equal(name, endings[i]))
			return true;
	return false;
}

/* Take a value, with its quotes, as "set NAME=VALUE" does; its length in `to`, or -1. */
static int
expand(const char *at, char *to, size_t room)
{
	bool in_single = false, in_double = false;
	size_t count = 0;

	while (*at) {
		const char *add = at;
		size_t many = 1;
		char c = *at++;

		if (c == '\'') {
			in_single = !in_single;
			many = in_double;
		} else if (c == '"') {
			in_double = !in_double;
			many = in_single;
		} else if (one_of(c, " \t\r\f\v") && !in_single && !in_double) {
			return -1;
		} else if (c == '$' && !in_single) {
			static char name[LINE_LIMIT];
			char closing = *at == '{' ? '}' : *at == '(' ? ')' : 0;
			size_t letters = 0;

			if (closing)
				at++;
			while (*at && (closing ? *at != closing : !one_of(*at, " \t\r\f\v")))
				name[letters++] = *at++;
			if (closing && *at++ != closing)
				return -1;
			name[letters] = 0;
			add = equal(name, "ISADIR") ? "amd64" : conf_get(name);
			many = add ? length(add) : 0;
		}
		if (count + many > room)
			return -1;
		memcpy(to + count, add, many);
		count += many;
	}
	return in_single || in_double ? -1 : (int)count;
}

/* Obey one line (without its end); what is wrong with it, or NULL. */
static const char *
obey(const char *at, const char *file, bool standard)
{
	static char raw[LINE_LIMIT], value[LINE_LIMIT];
	size_t count = 0;
	const char *start = at = spaces(at);

	if (*at == 0 || *at == '#')
		return NULL;
	if (!letter(*at))
		return "a name begins with a letter";
	while (letter(*at) || digit(*at) || one_of(*at, "_-.,/"))
		at++;
	const char *name = keep(start, (size_t)(at - start));
	at = spaces(at);
	if (*at != '=')
		return "no = behind the name";
	at = spaces(at + 1);
	if (*at == '"' || *at == '\'') {
		char quote = raw[count++] = *at++;
		for (; *at != quote; at++) {
			if (*at == '\\')
				at++;
			if (*at == 0)
				return "the closing quote is missing";
			if (*at != '\\')
				raw[count++] = *at;
		}
		raw[count++] = *at++;
	} else if (letter(*at) || digit(*at) || one_of(*at, "-/:")) {
		for (; letter(*at) || digit(*at) || one_of(*at, "_.,-@/:"); at++)
			raw[count++] = *at;
	} else {
		return "no value";
	}
	raw[count] = 0;
	at = spaces(at);
	if (*at == '\r')
		return "a carriage return";
	if (*at != 0 && *at != '#')
		return "something behind the value";
	if (is_of_module(name)) {
		bool quoted = *raw == '"' || (*raw == '\'' && !ends(name, "_load"));
		set(name, keep(raw + quoted, count - 2 * quoted), file, standard);
		return NULL;
	}
	int taken = length(name) < LONGEST ? expand(raw, value, LONGEST - length(name) - 1) : -1;
	if (taken < 0)
		return "a bad definition";
	set(name, keep(value, (size_t)taken), file, standard);
	return NULL;
}

static void
report(const char *file, uint32_t line, const char *reason)
{
	if (syntax_error_count < 16)
		syntax_errors[syntax_error_count++] = (struct syntax_error){file, line, reason};
}

/* The buffer through which all files are read, and the place in a file where it begins. */
static char chunk[CHUNK];
static size_t chunk_size;
static const char *chunk_file = "";
static uint32_t chunk_line = 1;

static void
read_file(struct volume *volume, const char *path, bool standard)
{
	static char text[FILE_LIMIT + 1], line[LINE_LIMIT];
	struct file file;
	size_t at = 0, offset = 0, count;
	bool ended = false;

	if (!volume_open(volume, path, &file))
		return;
	if (file.size > FILE_LIMIT)
		fail("%s is larger than 64 KiB", path);
	if (!file_read(&file, text))
		fail("%s cannot be read", path);
	size_t size = (size_t)file.size;
	file_close(&file);
	path = keep(path, length(path));
	if (conf_file_count < 64)
		conf_files[conf_file_count++] = path;

	const char *where = chunk_file;
	uint32_t number = chunk_line;
	while (!ended) {
		for (; at < chunk_size && chunk[at] == '\n'; at++)
			number++;
		const char *begin = where;
		uint32_t begin_number = number;
		for (count = 0;;) {
			for (; at < chunk_size && chunk[at] != '\n'; at++) {
				if (count == LINE_LIMIT - 1)
					fail("%s has a line of more than 4095 bytes", where);
				line[count++] = chunk[at];
			}
			if (at < chunk_size || ended)
				break;
			if (offset == 0) {
				where = path;
				number = 1;
			}
			chunk_file = where;
			chunk_line = number;
			chunk_size = size - offset < CHUNK ? size - offset : CHUNK;
			memcpy(chunk, text + offset, chunk_size);
			offset += chunk_size;
			at = 0;
			ended = chunk_size == 0;
			if (count == 0) {
				begin = where;
				begin_number = number;
			}
		}
		line[count] = 0;
		const char *reason = obey(line, begin, standard);
		if (reason) {
			if (begin == path)
				report(begin, begin_number, reason);
			else
				report(path, 1, "it is lost with what is left of the file before");
			return;
		}
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
