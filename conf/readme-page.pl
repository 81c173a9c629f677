#!/usr/bin/env perl
# The manual page of what README.md tells administrators: perl readme-page.pl VERSION DOCDIR README.md FRAME
#
# FRAME is the page without its middle. Its line "@CHAPTERS BUT A; B@" becomes all chapters of the README (its "##"),
# in their order, except those whose titles begin so. @VERSION@ and @DOCDIR@ are replaced. Of Markdown it knows what
# the README uses: headings, paragraphs, indented code, lists, tables, `code`, **bold** and [links](to). A table
# becomes a list: the first column is the tag, the others follow.
use strict;
use warnings;
use utf8;

my ($version, $docdir, $readme, $frame) = @ARGV;
@ARGV == 4 or die "usage: $0 VERSION DOCDIR README FRAME\n";
my $columns = 79;
my %sign = ('…' => '...', '→' => '\(->', '–' => '\(en', '—' => '\(em', '×' => '\(mu', 'µ' => '\(mc');

sub lines_of {
  my ($path) = @_;
  open my $file, '<:utf8', $path or die "$path: $!\n";
  chomp(my @lines = <$file>);
  return @lines;
}

# ---- words ----

# Text as roff takes it. Other characters than ASCII and the signs above are an error, not a question mark.
sub escaped {
  my ($text) = @_;
  $text =~ s/\\/\\e/g;
  $text =~ s{([^\x00-\x7f])}{$sign{$1} // die sprintf "$readme: no sign for U+%04X in: %s\n", ord $1, $text}ge;
  return $text;
}

# What is typed: signs that can be copied out of the page.
sub typed {
  my $text = escaped($_[0]);
  my %plain = ('-' => '\-', "'" => '\(aq', '`' => '\(ga', '^' => '\(ha', '~' => '\(ti');
  $text =~ s/([-'`^~])/$plain{$1}/g;
  return $text;
}

# Words that could be hyphenated are told not to be.
sub bold { return '\fB' . join(' ', map {/[a-z]{4}/ ? "\\%$_" : $_} split / /, typed($_[0])) . '\fR' }

# A file of the project is installed with the documents, or is in the sources only.
sub link_to {
  my ($text, $to) = @_;
  return $text eq $to ? bold($to) : escaped($text) . " <$to>" if $to =~ m,://,;
  return bold("$docdir/srp.conf.example") if $to eq 'conf/srp.conf.example';
  my $place = bold($to) . ' of the sources';
  return $to =~ /^\Q$text\E/ ? $place : escaped($text) . " ($place)";
}

sub inline {
  my ($text) = @_;
  my $set = '';
  while ($text =~ /\G(?:`([^`]+)`|\*\*(.+?)\*\*|\[([^\]]+)\]\(([^)]+)\)|([^`*[]+|.))/gs) {
    $set .= defined $1 ? bold($1) : defined $2 ? bold($2) : defined $3 ? link_to($3, $4) : escaped($5);
  }
  # Inside a word the sign against hyphens would ask for one.
  return join ' ', map {s/\\%//g ? "\\%$_" : $_} split / /, $set;
}

# A line of text that roff must not take for a request.
sub put {
  my ($line) = @_;
  $line =~ s/^(?=[.'])/\\&/;
  print "$line\n";
}

# Each sentence begins a line of its own, because roff sets the space behind it.
sub put_prose {
  my $line = '';
  for my $word (split ' ', inline($_[0])) {
    if ($line ne '' && ($line =~ /(?<![.])[.?!](?:\\fR)?$/ || length "$line $word" > $columns)) {
      put($line);
      $line = '';
    }
    $line .= $line eq '' ? $word : " $word";
  }
  put($line);
}

# ---- blocks ----

my $section_begins;   # right behind a heading there is no .PP
my $item_indent = 0;  # of the text in an item of a list; 0 outside

sub put_heading {
  my ($level, $title) = @_;
  print $level == 2 ? '.SH ' . uc inline($title) : '.SS ' . inline($title), "\n";
}

sub put_paragraph {
  my ($text) = @_;
  print $item_indent ? ".IP\n" : ".PP\n" unless $section_begins;
  put_prose($text);
}

sub put_item {
  my ($mark, $text) = @_;
  print $mark eq '-' ? ".IP \\(bu 2\n" : ".IP $mark 4\n";
  put_prose($text);
}

sub put_code {
  my @code = @_;
  my ($indent) = sort {$a <=> $b} map {/^( *)\S/ ? length $1 : ()} @code;
  print $item_indent ? ".IP\n.EX\n" : ".PP\n.RS 4\n.EX\n";
  put(typed(length > $indent ? substr $_, $indent : '')) for @code;
  print $item_indent ? ".EE\n" : ".EE\n.RE\n";
}

# A table begins with its titles. A row without a first cell goes on with the one above it.
sub put_row {
  my ($row, $titles) = @_;
  my ($tag, @cells) = map {s/\\\|/|/gr =~ s/^ +| +$//gr} $row =~ /\G\|((?:`[^`]*`|\\\||[^|`])*)(?=\|)/g;
  return if $tag =~ /^-+$/;
  print $tag eq '' ? ".IP\n" : ".TP\n";
  put($titles ? "\\fI$tag\\fR" : inline($tag)) if $tag ne '';
  put_prose(shift @cells);
  for (@cells) {
    print ".br\n";
    put_prose($_);
  }
}

# Blocks are told apart by how their first line begins; they end at an empty line, or where another begins.
sub put_blocks {
  my @lines = @_;
  while (@lines) {
    local $_ = shift @lines;
    my @block = $_;
    if (/^\s*$/) {
      next;
    } elsif (/^(##+) (.*)/) {
      $item_indent = 0;
      put_heading(length $1, $2);
      $section_begins = 1;
      next;
    }
    $item_indent = 0 if /^( *)/ && length $1 < $item_indent && !/^ *(?:\d+\.|-) /;
    if (/^\|/) {
      put_row($_, @lines && $lines[0] =~ /^\|-/);
    } elsif (/^( *(\d+\.|-) +)(.*)/) {
      $item_indent = length $1;
      my ($mark, @text) = ($2, $3);
      push @text, shift @lines while @lines && $lines[0] =~ /^ +\S/ && $lines[0] !~ /^ *(?:\d+\.|-) /;
      put_item($mark, "@text");
    } elsif (/^ {$item_indent} {4}/) {
      push @block, shift @lines while @lines && $lines[0] =~ /^(?: {$item_indent} {4}|\s*$)/;
      pop @block while $block[-1] =~ /^\s*$/;
      put_code(@block);
    } else {
      push @block, shift @lines while @lines && $lines[0] =~ /\S/ && $lines[0] !~ /^(?:#|\|| *(?:\d+\.|-) )/;
      put_paragraph("@block");
    }
    $section_begins = 0;
  }
}

# The chapters but for those whose titles begin with one of these, each of which there must be.
sub put_chapters {
  my %unused = map {$_ => 1} @_;
  my @chosen;
  my $wanted = 0;
  for (lines_of($readme)) {
    if (/^## (.*)/) {
      my $title = $1;
      my ($left_out) = grep {index($title, $_) == 0} @_;
      delete $unused{$left_out} if defined $left_out;
      $wanted = !defined $left_out;
    }
    push @chosen, $_ if $wanted;
  }
  die "$readme has no chapter '$_', which $frame leaves out\n" for sort keys %unused;
  put_blocks(@chosen);
}

binmode STDOUT, ':utf8';
for (lines_of($frame)) {
  if (/^\@CHAPTERS BUT (.*)\@$/) {
    put_chapters(split /; */, $1);
  } else {
    s/\@VERSION\@/$version/g;
    s/\@DOCDIR\@/$docdir/g;
    print "$_\n";
  }
}
