# The manual page srp.conf(5): awk -f manual.awk srp.conf.example srp.conf.5.in
#
# The example is where each setting is explained: paragraphs of "# prose" over "#name = value;". The frame is copied;
# the settings go where it says @SETTINGS@; @VERSION@ and @DOCDIR@ are variables (-v).

function escaped(text) {
  gsub(/\\/, "\\e", text)
  return text
}

# As the argument of a request, where quotes have a meaning.
function argument(text) {
  text = escaped(text)
  gsub(/"/, "\\(dq", text)
  return text
}

# A word of prose: settings in bold, options with minus signs that can be copied, nothing that looks like a request.
function set(word,   at) {
  at = match(word, /[a-z0-9]+(_[a-z0-9]+)+/)
  if (at && substr(word, RSTART, RLENGTH) in settings)
    return substr(word, 1, RSTART - 1) "\\fB" substr(word, RSTART, RLENGTH) "\\fR" substr(word, RSTART + RLENGTH)
  gsub(/--/, "\\-\\-", word)
  if (word ~ /^[.']/) word = "\\&" word
  return word
}

# A paragraph: each sentence on lines of its own, because roff sets the space behind it.
function print_prose(text,   words, count, i, line, word) {
  count = split(escaped(text), words, " ")
  for (i = 1; i <= count; i++) {
    word = set(words[i])
    if (line != "" && length(line " " word) > columns) {
      print line
      line = ""
    }
    line = line == "" ? word : line " " word
    if (words[i] ~ /[.]$/ || i == count) {
      print line
      line = ""
    }
  }
}

function print_setting(name,   count, lines, i) {
  count = split(settings[name], lines, "\n")
  print ".TP"
  if (count == 1) sub(/;$/, "", lines[1])
  print ".B " argument(count == 1 ? lines[1] : name)
  print_prose(prose[name])
  if (count == 1) return
  print ".IP\n.EX"
  for (i = 1; i <= count; i++) print escaped(lines[i])
  print ".EE"
}

BEGIN {columns = 79}

# The example.
FNR == NR && /^$/ {text = ""; name = ""; next}
FNR == NR && /^# [^ ]/ {text = text " " substr($0, 3); next}
FNR == NR && /^#/ {
  if (name == "") {
    name = substr($1, 2)
    names[++known] = name
    prose[name] = text
  } else {
    settings[name] = settings[name] "\n"
  }
  settings[name] = settings[name] substr($0, 2)
  next
}

# The frame.
$0 == "@SETTINGS@" {
  for (i = 1; i <= known; i++) print_setting(names[i])
  next
}
{
  gsub(/@VERSION@/, version)
  gsub(/@DOCDIR@/, docdir)
  print
}
