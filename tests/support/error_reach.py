"""Which error codes a function of src/ can return, as far as its text shows: those of the errors in its own body, and
in the bodies of all functions that it calls or names. It follows pointers to functions by the fields of the tables that
they are in, so that it finds too much rather than too little."""

import collections
import re

CODES = ("ARGUMENT", "IO", "FORMAT", "MEMORY", "UNSUPPORTED", "ENGINE", "CANCELLED")
DEFINITION = re.compile(r"^(?!typedef|enum|union|#|extern)([A-Za-z_][\w \*]*?[\s\*])(\w+)\([^;{}]*\)\s*\{"
                        r"([^\n]*\}[ \t]*$|.*?^\})", re.S | re.M)
TABLE = re.compile(r"^(?:static )?(?:const )?(\w+) \w+(?:\[\w*\])? = \{(.*?)^\}", re.S | re.M)
# The engine that replays a file of attention is only run by this file.
REPLAY, ITS_CALLER = "attention_file.c", "trace_import.c"


def bare(text):
    """The code without comments and texts."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"'(\\.|[^'\\])'", "0", text)
    return re.sub(r'"(\\.|[^"\\])*"', '""', text)


class Sources:
    def __init__(self, root):
        self.texts = {path: bare(path.read_text()) for pattern in ("*.c", "*.cpp") for path in root.rglob(pattern)}
        self.definitions = collections.defaultdict(list)  # name: [(file, is static, body)]
        self.fields = collections.defaultdict(set)  # (of engine operations?, field): {(name, file)}
        for path, text in self.texts.items():
            for match in DEFINITION.finditer(text):
                self.definitions[match[2]].append((path, "static" in match[1], match[3]))
        for path, text in self.texts.items():
            for kind, body in [(table[1], table[2]) for table in TABLE.finditer(text)]:
                self.fill_fields(kind == "hw__engine_ops", body, path)

    def fill_fields(self, is_engine, body, path):
        for field, name in re.findall(r"\.(\w+)\s*=\s*(\w+)\b", body):
            if name in self.definitions:
                self.fields[is_engine, field].add((name, path))

    def find(self, name, path):
        """[(name, file)] of the function that this name means in this file."""
        found = self.definitions.get(name, [])
        own = [(name, file) for file, _, _ in found if file == path]
        return own or [(name, file) for file, is_static, _ in found if not is_static]

    def called(self, path, body):
        for word in set(re.findall(r"\b[A-Za-z_]\w*\b", body)):
            yield from self.find(word, path)
        for owner, field in set(re.findall(r"(\w+)(?:->|\.)(\w+)\(", body)):
            for name, file in self.fields.get((owner == "ops", field), ()):
                if file.name != REPLAY or path.name == ITS_CALLER:
                    yield from self.find(name, file)

    def codes(self, function):
        """{code: the functions on the way to it}"""
        waiting = collections.deque((one, (one[0],)) for one in self.find(function, None))
        seen, found = {one for one, _ in waiting}, {}
        while waiting:
            (name, path), way = waiting.popleft()
            for file, _, body in self.definitions[name]:
                if file != path:
                    continue
                for code in own_codes(body):
                    found.setdefault(code, way)
                for one in self.called(path, body):
                    if one not in seen:
                        seen.add(one)
                        waiting.append((one, (*way, one[0])))
        return found


def own_codes(body):
    """Codes that a body returns, not those that it compares with."""
    body = re.sub(r"[=!]= HW_ERR_\w+", "", body)
    codes = set(re.findall(r"\bHW_ERR_(\w+)\b", body)) & set(CODES)
    return codes | {"MEMORY"} if "fail_memory" in body else codes
