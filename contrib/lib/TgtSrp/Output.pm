package TgtSrp::Output;

# A plan, written as targets.conf and srp.conf.

use strict;
use warnings;

use Exporter qw(import);
use TgtSrp::Text qw(printable wrapped);
our @EXPORT_OK = qw(targets_conf srp_conf);

# The order in which settings are written.
my @settings = qw(
    srpt_port_names srpt_service_guid rdma_cm_port srp_max_req_size srp_max_rsp_size srp_max_rdma_size srpt_sq_size
    use_srq srpt_srq_size
);

sub _comments { my ($indent, @texts) = @_; return map { wrapped($_, "$indent# ", "$indent#   ") } @texts }

# ---- targets.conf ----

sub targets_conf {
    my ($plan) = @_;
    my @comments = _comments('', @{$plan->{comments}});
    my @parts = (@comments ? join('', @comments) : (), map { _target($_) } @{$plan->{targets}});
    return join "\n", @parts;
}

sub _target {
    my ($target) = @_;
    return join '', "<target $target->{name}>\n", "    driver srp\n", _comments('    ', @{$target->{comments}}),
        map({ _unit($_) } sort { $a->{lun} <=> $b->{lun} } @{$target->{units}}),
        map({ '    initiator-address ' . _shell_safe($_) . "\n" } @{$target->{initiators}}), "</target>\n";
}

sub _unit {
    my ($unit) = @_;
    my $mark = $unit->{off} ? '    #' : '    ';
    my @options = (['lun', $unit->{lun}], @{$unit->{options}});
    return join '', _comments('    ', @{$unit->{comments}}), "$mark<backing-store $unit->{path}>\n",
        map({ "$mark    $_->[0] " . _quoted($_->[1]) . "\n" } @options), "$mark</backing-store>\n";
}

# Config::General takes the quotes away, and spaces where there are none.
sub _quoted { my ($value) = @_; return $value =~ / / ? "\"$value\"" : $value }

# tgt-admin pastes an initiator-address into a shell without quotes; there * and ? would stand for files.
sub _shell_safe { my ($entry) = @_; return $entry =~ /[*?]/ ? "\"'$entry'\"" : $entry }

# ---- srp.conf ----

sub srp_conf {
    my ($plan) = @_;
    my $set = $plan->{settings};
    my @comments = _comments('', @{$plan->{setting_comments}});
    my @lines = map { "$_ = $set->{$_};\n" } grep { defined $set->{$_} } @settings;
    my @entries = map { _port_id($_) } grep { defined $_->{id_ext} } @{$plan->{targets}};
    my $ports = @entries ? "targets = (\n" . join(",\n", @entries) . "\n);\n" : '';
    my @parts = grep { length } join('', @comments), join('', @lines), $ports;
    return @parts ? join "\n", @parts : "# No setting differs from its default.\n";
}

sub _port_id {
    my ($target) = @_;
    return "  { name = \"$target->{name}\"; id_ext = \"$target->{id_ext}\"; }";
}

1;
