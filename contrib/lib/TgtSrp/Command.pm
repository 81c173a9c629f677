package TgtSrp::Command;

# What the converters have in common: options, files, exit status.
#
# A problem with the input is a `die` with a text that ends with a newline, and becomes exit status 2.

use strict;
use warnings;

use Exporter qw(import);
use Fcntl qw(O_CREAT O_EXCL O_TRUNC O_WRONLY);
use Getopt::Long qw(GetOptionsFromArray);
use TgtSrp::Output qw(srp_conf targets_conf);
use TgtSrp::Plan;
our @EXPORT_OK = qw(run slurp);

my $options_help = <<'TEXT';
  --targets FILE   write what belongs into /etc/tgt/conf.d/srp.conf to FILE
  --srp FILE       write what belongs into /etc/tgt/srp.conf to FILE
  --force          overwrite these files
  --modprobe FILE  take parameters of ib_srpt from FILE too, as in /etc/modprobe.d/ib_srpt.conf; may be repeated
  --sysfs DIR      look pass-through devices up in DIR instead of /sys
  --help           show this

Without --targets and --srp, the two go to the standard output, one after the other. What has no equal is marked with
'# Remark' at its place, and listed on the standard error.

Exit status: 0 all is converted; 1 something has no equal; 2 the input cannot be read, or an output not be written.
TEXT

# run ARGUMENTS: name, input (its default), summary, convert => sub (plan, path, options). Returns the exit status.
sub run {
    my ($arguments, %tool) = @_;
    my %options = (modprobe => [], sysfs => '/sys');
    local $SIG{__WARN__} = sub { print STDERR "$tool{name}: $_[0]" };
    GetOptionsFromArray($arguments, \%options, qw(targets=s srp=s force modprobe=s@ sysfs=s help)) && @$arguments <= 1
        or return _usage(\%tool, \*STDERR, 2);
    return _usage(\%tool, \*STDOUT, 0) if $options{help};

    my $path = @$arguments ? $arguments->[0] : $tool{input};
    my $plan = TgtSrp::Plan->new($path);
    my $done = eval {
        $tool{convert}->($plan, $path, \%options);
        _module_parameters($plan, $_) for @{$options{modprobe}};
        $plan->finish;
        _write($plan, $tool{name}, \%options);
        1;
    };
    if (!$done) {
        print STDERR "$tool{name}: $@";
        return 2;
    }
    return _sum_up($plan, $tool{name});
}

sub _usage {
    my ($tool, $where, $status) = @_;
    print {$where} "Usage: $tool->{name} [OPTION...] [$tool->{input}]\n$tool->{summary}\n\n$options_help";
    return $status;
}

sub slurp {
    my ($path) = @_;
    open my $file, '<:raw', $path or die "$path: cannot be read: $!\n";
    local $/;
    my $text = <$file>;
    die "$path: cannot be read: $!\n" if !defined $text && $!;
    close $file;
    return defined $text ? $text : '';
}

# "options ib_srpt NAME=VALUE ..."; a backslash joins lines.
sub _module_parameters {
    my ($plan, $path) = @_;
    (my $text = slurp($path)) =~ s/\\\n/ /g;
    for my $line (split /\n/, $text) {
        my ($parameters) = $line =~ /\A\s*options\s+ib_srpt\s+(.*)/ or next;
        for my $parameter (split ' ', $parameters) {
            my ($name, $value) = split /=/, $parameter, 2;
            $value = 1 if !defined $value;
            next if $plan->kernel_setting("in $path", $name, $value);
            $plan->setting_remark("in $path", "tgt-srp has no $name");
        }
    }
    return;
}

# ---- results ----

sub _write {
    my ($plan, $name, $options) = @_;
    my $made = "# Made by $name from $plan->{source}.\n";
    my @results = (
        [$options->{targets}, '/etc/tgt/conf.d/srp.conf', targets_conf($plan)],
        [$options->{srp}, '/etc/tgt/srp.conf', srp_conf($plan)],
    );
    $options->{force} or _must_be_new($_->[0]) for @results;
    my @printed;
    for my $result (@results) {
        my ($file, $place, $text) = @$result;
        if (defined $file) {
            _write_file($file, "$made\n$text", $options->{force});
        } else {
            push @printed, "# ---- $place ----\n$made\n$text";
        }
    }
    print join "\n", @printed;
    return;
}

# Both are looked at before either is written.
sub _must_be_new {
    my ($file) = @_;
    die "$file: exists; remove it, or say --force to overwrite it\n" if defined $file && -e $file;
    return;
}

sub _write_file {
    my ($file, $text, $force) = @_;
    sysopen my $out, $file, O_WRONLY | O_CREAT | ($force ? O_TRUNC : O_EXCL), oct 644
        or die "$file: cannot be written: $!\n";
    print {$out} $text;
    close $out or die "$file: cannot be written: $!\n";
    return;
}

# What is about no line comes last.
sub _line_number { my ($remark) = @_; return $remark->[0] =~ /\Aline (\d+)\z/ ? $1 : 1e9 }

sub _sum_up {
    my ($plan, $name) = @_;
    my @remarks = sort { _line_number($a) <=> _line_number($b) } @{$plan->{remarks}};
    return 0 if !@remarks;
    print STDERR map { "$plan->{source}: $_->[0]: $_->[1]\n" } @remarks;
    printf STDERR "%s: %d %s, marked '# Remark' in the result\n", $name, scalar @remarks,
        @remarks == 1 ? 'remark' : 'remarks';
    return 1;
}

1;
