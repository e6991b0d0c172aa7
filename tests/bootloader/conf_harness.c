/* Runs the boot stand-ins' reader of loader.conf files on this computer: the files are arguments, in their order. */
#include "standin.h"

int open(const char *path, int flags, ...);
long read(int descriptor, void *to, unsigned long size);
long write(int descriptor, const void *from, unsigned long size);
_Noreturn void _exit(int status);

static char **paths, *current;

static void
put(const char *text)
{
	write(1, text, length(text) + 1);
}

_Noreturn void
fail(const char *format, ...)
{
	put(format);
	_exit(1);
}

/* Only boot/conf.d holds files: the arguments, by their numbers. */
bool
volume_open(struct volume *volume, const char *path, struct file *file)
{
	static char text[70000];

	(void)volume;
	if (starts(path, "/boot/conf.d/"))
		current = paths[path[13] - '0'];
	else
		return false;
	file->size = (uint64_t)read(open(current, 0), text, sizeof(text));
	file->handle = text;
	return true;
}

bool
file_read(struct file *file, void *to)
{
	memcpy(to, file->handle, (size_t)file->size);
	return true;
}

void
file_close(struct file *file)
{
	(void)file;
}

int
volume_list(struct volume *volume, const char *path, char names[][64], int most)
{
	int count = 0;

	(void)volume, (void)path;
	for (; paths[count] && count < most; count++) {
		names[count][0] = (char)('0' + count);
		names[count][1] = 0;
	}
	return count;
}

int
main(int count, char **arguments)
{
	(void)count;
	paths = arguments + 1;
	conf_read(0);
	for (int i = 0; i < syntax_error_count; i++)
		put(syntax_errors[i].file);
	put("");
	for (int i = 0; i < variable_count; i++) {
		put(variables[i].name);
		put(variables[i].value);
	}
	return 0;
}
