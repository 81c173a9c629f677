package TgtSrp::ScstConf;

# The grammar of /etc/scst.conf, as scstadmin reads it (man 5 scst.conf):
#
# - a line is a name and its values; with a '{' at its end it opens a section, which a '}' closes;
# - values with blanks stand in double quotes;
# - a '#' begins a comment and takes the letter before it along; '\#' is a '#', and a backslash before anything else is
#   taken away too.
#
# The result is a tree of entries {name, values, line, children}; children are only in sections.

use strict;
use warnings;

use Exporter qw(import);
our @EXPORT_OK = qw(parse);

sub parse {
    my ($path, $text) = @_;
    my $top = {name => '', values => [], line => 0, children => []};
    my @open = ($top);
    my $number = 0;
    for my $line (split /\n/, $text) {
        $number++;
        _refuse_old_format($path, $number, $line);
        _take_line(\@open, "$path:$number", $number, _without_comment($line));
    }
    return $top if @open == 1;
    my ($name, $begun) = @{$open[-1]}{qw(name line)};
    die "$path:$begun: the section $name is not closed before the end of the file; add the missing '}'\n";
}

# The names of sections in SCST 1.
sub _refuse_old_format {
    my ($path, $number, $line) = @_;
    return if $line !~ /\[(?:HANDLER|GROUP|ASSIGNMENT)\s/;
    die "$path:$number: this is the format of SCST 1; let scstadmin of SCST 2 or later convert it first: "
        . "scstadmin -config FILE, then scstadmin -write_config FILE\n";
}

sub _without_comment {
    my ($line) = @_;
    $line =~ s/\A#.*//;
    $line =~ s/[^\\]#.*//;
    $line =~ s/\\(.)/$1/g;
    return $line;
}

sub _take_line {
    my ($open, $at, $number, $line) = @_;
    my $words = '';
    for my $piece (split /([{}])/, $line) {
        if ($piece eq '{') {
            my $section = _entry($words, $number)
                or die "$at: a '{' without a name before it; write it at the end of the line that names the section\n";
            $section->{children} = [];
            push @{$open->[-1]{children}}, $section;
            push @$open, $section;
        } elsif ($piece eq '}') {
            push @{$open->[-1]{children}}, _entry($words, $number) || ();
            @$open > 1 or die "$at: a '}' that closes nothing; remove it, or add the '{' that it belongs to\n";
            pop @$open;
        } else {
            $words = $piece;
            next;
        }
        $words = '';
    }
    push @{$open->[-1]{children}}, _entry($words, $number) || ();
    return;
}

sub _entry {
    my ($words, $number) = @_;
    my @values;
    push @values, defined $1 ? $1 : $2 while $words =~ /"([^"]*)"|(\S+)/g;
    return undef if !@values;
    my $name = shift @values;
    return {name => $name, values => \@values, line => $number};
}

1;
