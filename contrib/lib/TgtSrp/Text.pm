package TgtSrp::Text;

# Texts from a configuration that nobody has checked, made fit for a message or a comment.

use strict;
use warnings;

use Exporter qw(import);
our @EXPORT_OK = qw(printable wrapped);

my $length_max = 160;

# No control characters, and no backslash: it would join the next line to a comment.
sub printable {
    my ($text) = @_;
    $text =~ s/[^\x20-\x7e]|\\/?/g;
    return length $text > $length_max ? substr($text, 0, $length_max) . '...' : $text;
}

# wrapped TEXT FIRST NEXT: lines of at most 100 columns, the first begun with FIRST, the others with NEXT.
sub wrapped {
    my ($text, $first, $next) = @_;
    my @lines = ($first);
    my $empty = 1;
    for my $word (split / +/, $text) {
        if (!$empty && length($lines[-1]) + 1 + length $word > 100) {
            push @lines, $next;
            $empty = 1;
        }
        $lines[-1] .= $empty ? $word : " $word";
        $empty = 0;
    }
    return map { "$_\n" } @lines;
}

1;
