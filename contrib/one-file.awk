# The program in one file, which can be copied to any host: awk -f one-file.awk srp-login
#
# A line `. "$here/FILE"` becomes the file, without its first line, which is for shellcheck.

/^# shellcheck source-path=/ || /^here=/ {next}
/^\. "\$here\// {
  file = substr($0, length(". \"$here/") + 1)
  sub(/"$/, "", file)
  if ((getline line < file) <= 0) {
    print file ": cannot be read" >"/dev/stderr"
    exit 1
  }
  while ((getline line < file) > 0) print line
  close(file)
  print ""
  next
}
{print}
