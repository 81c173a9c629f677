package TgtSrp::Identifier;

# The names of ports and initiators, as ib_srpt, rtslib and tgt-srp write them.

use strict;
use warnings;

use Exporter qw(import);
use Socket qw(AF_INET AF_INET6 inet_pton);
our @EXPORT_OK = qw(is_port_name scst_initiator lio_initiator);

my $guid = qr/[0-9a-f]{4}(?::[0-9a-f]{4}){3}/i;
my $id = qr/(?:0x)?[0-9a-f]{32}/i;

sub _is_ip { return defined inet_pton(AF_INET, $_[0]) || defined inet_pton(AF_INET6, $_[0]) }

# What tgt-srp takes for the name of a port, if srpt_port_names is true: its GID, GUID, or IP address. Text behind a
# '-' does not matter.
sub is_port_name {
    my ($name) = @_;
    $name =~ s/\Aib\.//i;
    $name =~ s/-.*//s;
    return _is_ip($name) || $name =~ /\A(?:$guid|$id|(?:0x)?[0-9a-f]{16})\z/i;
}

# ---- initiators ----

# Each returns the entry of an ACL, or undef and why there is none.

# An INITIATOR of SCST: a session's name, or a pattern of * and ?, with ! before it for all others.
sub scst_initiator {
    my ($name) = @_;
    my ($not, $pattern) = $name =~ /\A(!?)(.*)\z/s;
    my $is_pattern = $pattern =~ /[*?]/ && $pattern =~ /\A(?:0x)?[0-9a-f:.*?]+\z/i;
    return (undef, 'no SRP initiator has such a name')
        if !$is_pattern && !_is_ip($pattern) && $pattern !~ /\A(?:$guid|$id)\z/;
    return "$not$pattern" if $pattern !~ /\A\*+\z/;
    return $not ? (undef, 'it matches nobody') : 'ALL';
}

# A node_wwn of LIO: an initiator port identifier, in newer kernels also the GUID or the IP address it comes from.
sub lio_initiator {
    my ($name) = @_;
    return "0x$1" if $name =~ /\A(?:ib\.|0x)([0-9a-f]{1,32})\z/i || $name =~ /\A([0-9a-f]{32})\z/i;
    return $name if $name =~ /\A$guid\z/ || _is_ip($name);
    return (undef, 'it is no initiator port identifier, no GUID and no IP address');
}

1;
