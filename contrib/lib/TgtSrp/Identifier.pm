package TgtSrp::Identifier;

# The names of ports and initiators, as ib_srpt, rtslib and tgt-srp write them.

use strict;
use warnings;

use Exporter qw(import);
use Socket qw(AF_INET AF_INET6 inet_pton);
our @EXPORT_OK = qw(is_port_name is_guid scst_initiator lio_initiator);

my $group = qr/[0-9a-f]{4}/i;
my $guid = qr/$group(?::$group){3}/;
my $id_pattern = qr/[0-9a-f*?]+/i;
my $gid_pattern = qr/[0-9a-f?]{4}(?::[0-9a-f?]{4}){7}/i;
my $gid_beginning = qr/(?:[0-9a-f?]{4}:){4,7}(?:[0-9a-f?]{0,4}\*)/i;

sub is_guid { return $_[0] =~ /\A$guid\z/ }

sub _is_ip { return defined inet_pton(AF_INET, $_[0]) || defined inet_pton(AF_INET6, $_[0]) }

# A name by which ib_srpt calls one port: its GID, or its IP address. LIO writes GIDs without colons.
sub is_port_name {
    my ($name) = @_;
    return $name =~ /\A(?:0x|ib\.)[0-9a-f]{32}\z/i || _is_ip($name);
}

# ---- initiators ----

# Each returns the entry of an ACL and, if it is not quite the same, a remark; or undef and why there is none.

# An INITIATOR of SCST: a session's name, or a pattern of * and ?, with ! before it for all others.
sub scst_initiator {
    my ($name) = @_;
    my ($not, $pattern) = $name =~ /\A(!?)(.*)\z/s;
    my ($entry, $text) = _scst_pattern($pattern);
    return (undef, $text) if !defined $entry;
    return ("$not$entry", $text) if !$not || $entry ne 'ALL';
    return (undef, 'it matches nobody');
}

sub _scst_pattern {
    my ($pattern) = @_;
    return ('ALL') if $pattern =~ /\A\*+\z/;
    return ($pattern) if $pattern =~ /\A(?:$guid|[0-9a-f]{32}|0x[0-9a-f]{32})\z/i || _is_ip($pattern);
    return ($pattern) if $pattern =~ /\A0x$id_pattern\z/ && $pattern =~ /[*?]/;
    return _ipv4_network($pattern) if $pattern =~ /\A(?:\d{1,3}\.){1,3}\*\z/;
    return _gid_pattern($pattern) if $pattern =~ /\A(?:$gid_pattern|$gid_beginning)\z/;
    return (undef, 'tgt-srp has no such pattern');
}

# 10.1.* is 10.1.0.0/16.
sub _ipv4_network {
    my ($pattern) = @_;
    my @bytes = $pattern =~ /(\d+)/g;
    return (undef, 'it is not the beginning of an IP address') if grep { $_ > 255 } @bytes;
    my $bits = 8 * @bytes;
    return (join('.', (@bytes, 0, 0, 0)[0 .. 3]) . "/$bits");
}

# The last 16 digits of a GID are the GUID that Linux puts into the initiator port identifier.
sub _gid_pattern {
    my ($pattern) = @_;
    (my $digits = $pattern) =~ s/://g;
    my $entry = '0x' . '?' x 16 . substr $digits, 16;
    return ($entry, 'patterns match the identifier that the initiator claims, not the GID it comes from');
}

# A node_wwn of LIO: an initiator port identifier, in newer kernels also the GUID or the IP address it comes from.
sub lio_initiator {
    my ($name) = @_;
    return ("0x$1") if $name =~ /\A(?:ib\.|0x)?([0-9a-f]{32})\z/i;
    return ($name) if $name =~ /\A$guid\z/ || _is_ip($name);
    return (undef, 'it is no initiator port identifier of 32 hexadecimal digits, no GUID and no IP address');
}

1;
