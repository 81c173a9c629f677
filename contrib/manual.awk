# The manual page srp-login(8), of the comment that begins the program: awk -f manual.awk srp-login
#
# A line in capitals is a section. Indented by two it is text, or a tag where the text below it is indented by six; a
# display is indented by six behind an empty line. -v version=, -v date=.

function escaped(text) {
  gsub(/\\/, "\\e", text)
  gsub(/-/, "\\-", text)
  return text
}

# A word of prose: what is typed with minus signs, which can be copied, and nothing that looks like a request.
function set(word) {
  if (word ~ /^\(?-|^srp-login/ || word ~ /[\/=@]/) word = escaped(word)
  if (word ~ /^[.']/) word = "\\&" word
  return word
}

# Each sentence on lines of its own, because roff sets the space behind it.
function print_prose(text,   words, count, i, line, word) {
  count = split(text, words, " ")
  for (i = 1; i <= count; i++) {
    word = set(words[i])
    if (line != "" && length(line " " word) > 79) {
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

function end_paragraph() {
  if (text != "") print_prose(text)
  text = ""
  if (display) print ".EE"
  display = 0
}

# A tag is known by what follows it, so a line is held back until the next one.
function take(line, next_line) {
  if (line ~ /^[A-Z][A-Z ]*$/) {
    end_paragraph()
    print ".SH " line
    section = line
    fresh = 1
  } else if (line == "") {
    if (!display) end_paragraph()
    blank = 1
    return
  } else if (section == "NAME") {
    sub(/^  /, "", line)
    sub(/ - /, " \\- ", line)
    sub(/^srp-login/, "srp\\-login", line)
    print line
  } else if (section == "SYNOPSIS") {
    if (!display) print ".EX"
    display = 1
    print escaped(substr(line, 3))
  } else if (line ~ /^  [^ ]/ && next_line ~ /^      [^ ]/) {
    end_paragraph()
    print ".TP\n.B " escaped(substr(line, 3))
  } else if (line ~ /^      / && blank && !display) {
    print ".PP\n.EX"
    display = 1
    print escaped(substr(line, 3))
  } else if (display && line ~ /^      /) {
    print escaped(substr(line, 3))
  } else {
    if (blank && !fresh) {
      end_paragraph()
      print ".PP"
    }
    sub(/^ */, "", line)
    text = text " " line
  }
  if (line !~ /^[A-Z][A-Z ]*$/) fresh = 0
  blank = 0
}

BEGIN {
  print ".\\\" Made of the comment that begins the program."
  print ".TH SRP\\-LOGIN 8 " date " \"tgt\\-srp " version "\" \"System Manager's Manual\""
}
NR == 1 {next}
!/^#/ {exit}
{
  sub(/^# ?/, "")
  if (NR > 2) take(held, $0)
  held = $0
}
END {
  take(held, "")
  end_paragraph()
  print ".SH SEE ALSO\n.BR multipath.conf (5),\n.BR systemd.mount (5),\n.BR rdma\\-link (8),\n.BR tgtadm (8)"
}
