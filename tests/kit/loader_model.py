"""What the illumos loader does with loader.conf files, letter by letter, as its Forth and C code walk through them.

A model of usr/src/boot (forth/support.4th: read_line, get_assignment; common/interp_parse.c: parse) for tests of
imagekit's own reader, which has nothing in common with it.
"""

from hypothesis import strategies as st

CHUNK = 80
PARSE_BUFFER = 1024


class WrongSyntaxError(Exception):
    """ESYNTAX of support.4th."""


class WrongDefinitionError(Exception):
    """ESETERROR of support.4th."""


class Loader:
    def __init__(self):
        self.buffer = b""
        self.pointer = 0
        self.environment = {"ISADIR": "amd64"}
        self.modules = {}
        self.errors = []

    # files, by lines

    def load(self, name, data):
        self.file, self.end_of_file, self.pointer = data, False, 0
        try:
            while not self.end_of_file:
                self.line = self.read_line()
                assignment = self.get_assignment()
                if assignment:
                    self.process(*assignment)
        except WrongSyntaxError:
            self.errors.append((name, "syntax"))
        except WrongDefinitionError:
            self.errors.append((name, "definition"))

    def read_line(self):
        while self.pointer < len(self.buffer) and self.buffer[self.pointer] == 0x0A:
            self.pointer += 1
        line = bytearray()
        while True:
            while self.pointer < len(self.buffer) and self.buffer[self.pointer] != 0x0A:
                line.append(self.buffer[self.pointer])
                self.pointer += 1
            if self.pointer != len(self.buffer) or self.end_of_file:
                return line.decode("latin-1")
            self.buffer, self.file = self.file[:CHUNK], self.file[CHUNK:]
            self.pointer = 0
            self.end_of_file = not self.buffer

    # lines, by letters

    def here(self):
        return self.line[self.at : self.at + 1] or "\n"

    def spaces(self):
        while self.here() in " \t":
            self.at += 1

    def is_letter(self):
        return "A" <= self.here() <= "Z" or "a" <= self.here() <= "z"

    def is_digit(self):
        return "0" <= self.here() <= "9" or self.here() == "-"

    def get_assignment(self):
        self.at = 0
        self.spaces()
        if self.here() in "#\n":
            return None
        if not self.is_letter():
            raise WrongSyntaxError
        begin = self.at
        while self.is_letter() or self.is_digit() or self.here() in "_.,/":
            self.at += 1
        name = self.line[begin : self.at]
        self.spaces()
        if self.here() != "=":
            raise WrongSyntaxError
        self.at += 1
        self.spaces()
        begin = self.at
        if self.here() in "\"'":
            quote = self.here()
            self.step()
            while self.here() != quote:
                if self.here() == "\\":
                    self.step()
                self.step()
            self.at += 1
            value = self.line[begin : self.at].replace("\\", "")
        elif self.is_letter() or self.is_digit() or self.here() in "/:":
            while self.is_letter() or self.is_digit() or self.here() in "_.,@/:":
                self.at += 1
            value = self.line[begin : self.at]
        else:
            raise WrongSyntaxError
        self.spaces()
        if self.here() not in "#\n":
            raise WrongSyntaxError
        return name, value

    def step(self):
        self.at += 1
        if self.at >= len(self.line):
            raise WrongSyntaxError

    # assignments

    def process(self, name, value):
        if name in {"exec", "verbose_loading"}:
            return
        for ending in ("_load", "_name", "_type", "_hash", "_flags", "_before", "_after", "_error"):
            if len(name) > len(ending) and name.endswith(ending):
                self.modules[name] = value[1:-1] if value[0] == '"' else value
                return
        words = self.parse(f"set {name}={value}")
        if words is None or len(words) != 2:
            raise WrongDefinitionError
        key, _, text = words[1].partition("=")
        self.environment[key] = text

    def parse(self, text):
        words, word, state = [], "", "word"
        single = double = False
        at = 0
        while at < len(text):
            letter = text[at]
            if state == "white":
                if letter.isspace():
                    at += 1
                else:
                    state = "word"
                continue
            if len(word) > PARSE_BUFFER - 1:
                return None
            at += 1
            if letter == "'":
                single = not single
                word += letter if double else ""
            elif letter == '"':
                double = not double
                word += letter if single else ""
            elif letter.isspace() and not single and not double:
                state = "white"
                words += [word] if word else []
                word = ""
            elif letter == "$" and not single:
                closing = {"{": "}", "(": ")"}.get(text[at : at + 1])
                if closing:
                    end = text.find(closing, at)
                    if end < 0:
                        return None
                    name, at = text[at + 1 : end], end + 1
                else:
                    end = at
                    while end < len(text) and not text[end].isspace():
                        end += 1
                    name, at = text[at:end], end
                word += self.environment.get(name, "")
            else:
                word += letter
        if single or double or len(word) > PARSE_BUFFER - 1:
            return None
        return [*words, *([word] if word and state == "word" else [])]


LINES = st.one_of(
    st.sampled_from(
        [
            *('a="b"', "a=b # c", "  a.b_c = 'd'", "# only this", "", "a", "=b", "a=", "a='b", "9=a", "a=b c", "a=b\r"),
            *("a=/x/y:z@1,2", "a=-1", "a=:b", 'a="$b"', "a='$b'", 'a="${a}"', 'a="$(a) c"', 'a="it\'s"', "a='b\"c'"),
            *('a="b\\"c"', "a='b\\'c'", 'a="b\\', 'a="b\\c"', "x_load=YES", 'x_load="YES"', "x_name='/y'", 'exec="a"'),
            *("a,b/c=d", "\xef\xbb\xbfa=b", "<<<<<<< x", "a=" + "b" * 1022, 'z="$a$a"', "a-mode=9600,8,n,1,-"),
        ]
    ),
    st.text(st.sampled_from("ab=\"'\\$#{} \t/-:,.é\r"), max_size=12),
    st.builds(
        "{}={}".format, st.sampled_from(["a", "b.c", "d_name"]), st.text(st.sampled_from("ab\"'\\$ {}#"), max_size=9)
    ),
    st.integers(1, 90).map(lambda length: f"b='{'x' * length}'"),
)
FILES = st.lists(
    st.builds("{}{}".format, st.lists(LINES, max_size=6).map("\n".join), st.sampled_from(["", "\n"])), max_size=4
)
"""Contents of files, right lines and wrong ones."""


def at_the_border(length):
    """Return files with a wrong line so many bytes in, about where the loader reads on."""
    return [f"#{'x' * length}\nbad line\nlate=1\nlater=2\n" + "# y\n" * 30, "e=f\ng=h\n", "i=j\n"]
