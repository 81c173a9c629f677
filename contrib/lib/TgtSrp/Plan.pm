package TgtSrp::Plan;

# What a converter has found out, in the terms of tgt: targets with their units and initiators, the settings of
# srp.conf, and a remark for everything that has no equal. Output.pm writes it down.
#
# A target: {name, units, initiators, comments, id_ext}; a unit: {lun, path, options, comments, off}. Options are pairs
# [name, value] in the order in which they are to be written. A unit that is `off` is written as a comment.

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use TgtSrp::Text qw(printable);

our $lun_max = 16383;       # REPORT LUNS of tgtd writes 14 bits
our $name_length_max = 200; # of a target; tgtd takes 223

# What a text may consist of that tgt-admin pastes, in double quotes, into a shell, and tgtd then splits at commas.
# Config::General, tgt-admin's parser, ends a line at '#'.
my $text_of_inquiry = qr{\A[A-Za-z0-9 _.:+@%/=()-]+\z};
my $not_in_a_path = qr{["\$`\\,#<>[:cntrl:]]};

# Of the settings that ib_srpt has too: what srp.conf takes.
my %range_of = (
    rdma_cm_port      => [1, 65535],
    srp_max_req_size  => [64, 65536],
    srp_max_rsp_size  => [40, 1024],
    srp_max_rdma_size => [4096, 16777216],
    srpt_srq_size     => [4, 65535],
    srpt_sq_size      => [16, 65535],
);

sub new {
    my ($class, $source) = @_;
    my $self = {
        source => $source, targets => [], settings => {}, setting_comments => [], comments => [], remarks => [],
        names => {},
    };
    return bless $self, $class;
}

# ---- remarks ----

# remark PLACE AT TEXT: something has no equal. PLACE is a target, a unit, or undef for the file as a whole; AT says
# where in the source it stands.
sub remark {
    my ($self, $place, $at, $text) = @_;
    push @{$self->{remarks}}, [$at, $text];
    push @{($place || $self)->{comments}}, "Remark, $at: $text";
    return;
}

# Worth knowing, but the result is equal.
sub note {
    my ($self, $place, $text) = @_;
    push @{($place || $self)->{comments}}, "Note: $text";
    return;
}

# ---- targets ----

# add_target WISH: a target with a name that tgtd takes and no other target has.
sub add_target {
    my ($self, $wish) = @_;
    my $target = {name => $self->_free_name($wish), units => [], initiators => [], comments => []};
    push @{$self->{targets}}, $target;
    return $target;
}

sub _free_name {
    my ($self, $wish) = @_;
    (my $legal = substr $wish, 0, $name_length_max) =~ s/[^A-Za-z0-9:.-]/-/g;
    my ($name, $tries) = ($legal, 1);
    $name = "$legal-" . ++$tries while $self->{names}{$name}++;
    return $name;
}

# share_port TARGETS NAME: of the same port, though NAME is that of none.
sub share_port {
    my ($self, $targets, $name) = @_;
    return if @$targets < 2;
    my $id = substr md5_hex($name), 0, 16;
    $_->{id_ext} = $id for @$targets;
    return;
}

# Initiators know a target by id_ext and ioc_guid, which ib_srpt made of GUIDs.
sub remark_login {
    my ($self, $target, $at, $name) = @_;
    $self->remark($target, $at, printable($name) . " is no port's GID, and initiators need new login strings "
        . "('tgtadm --lld srp --mode target --op show'); to keep the old ones, write the GID in its place (cat "
        . '/sys/class/infiniband/*/ports/*/gids/0) and convert again');
    return;
}

sub add_unit {
    my ($self, $target, %unit) = @_;
    my $unit = {lun => $unit{lun}, at => $unit{at}, path => undef, options => [], comments => []};
    push @{$target->{units}}, $unit;
    return $unit;
}

sub option {
    my ($self, $unit, $name, $value) = @_;
    push @{$unit->{options}}, [$name, $value];
    return;
}

# Texts of INQUIRY data: WIDTH is what tgtd has room for.
sub text_option {
    my ($self, $unit, $name, $value, $width) = @_;
    my $shown = printable($value);
    if ($value !~ $text_of_inquiry) {
        $self->remark($unit, $unit->{at}, "$name '$shown' has letters that tgt-admin cannot pass on; left out");
        return;
    }
    if (length $value > $width) {
        $self->remark($unit, $unit->{at}, "$name '$shown' is cut to the $width letters that tgt has room for");
        $value = substr $value, 0, $width;
    }
    $self->option($unit, $name, $value);
    return;
}

# store UNIT PATH: true if tgt-admin can pass PATH on; otherwise the unit is off.
sub store {
    my ($self, $unit, $path) = @_;
    my $why =
          !defined $path || $path eq ''       ? 'it names no file or device'
        : $path !~ m{\A/}                     ? 'its path does not begin with /'
        : $path =~ m{[/ ]\z}                  ? 'its path ends with a slash or a space'
        : $path =~ $not_in_a_path             ? 'its path has letters that tgt-admin cannot pass on; make a link to it'
        :                                       undef;
    $unit->{path} = $path;
    return 1 if !$why;
    $unit->{path} = defined $path && $path ne '' ? printable($path) : '?';
    $self->turn_off($unit, "not served: $why");
    return 0;
}

sub turn_off {
    my ($self, $unit, $why) = @_;
    $unit->{off} = 1;
    $self->remark($unit, $unit->{at}, $why);
    return;
}

# A pass-through unit of the SCSI generic node SG; undef if it is not known.
sub pass_through {
    my ($self, $unit, $device, $sg) = @_;
    my $shown = printable($device);
    $self->option($unit, 'device-type', 'pt');
    $self->option($unit, 'bs-type', 'sg');
    if (defined $sg) {
        $self->remark($unit, $unit->{at}, "$shown is $sg on this host today; after a restart it may be another");
        $self->store($unit, $sg);
        return;
    }
    $unit->{path} = '/dev/sgN';
    $self->turn_off($unit, "not served: $shown is not on this host; put in the node that 'lsscsi -g' shows for it");
    return;
}

# A unit without a store: every read and write succeeds and does nothing.
sub null_store {
    my ($self, $unit) = @_;
    $self->option($unit, 'bs-type', 'null');
    $self->store($unit, '/dev/null');
    return;
}

sub block_size {
    my ($self, $unit, $size) = @_;
    return if !defined $size;
    if ($size =~ /\A\d{3,6}\z/ && $size >= 512 && !($size & $size - 1)) {
        $self->option($unit, 'block-size', $size + 0);
    } else {
        $self->turn_off($unit, 'not served: its block size ' . printable($size) . ' is not a power of 2 from 512 on');
    }
    return;
}

# ---- settings ----

sub setting {
    my ($self, $name, $value) = @_;
    $self->{settings}{$name} = $value;
    return;
}

# kernel_setting AT NAME VALUE: a parameter of ib_srpt. False if srp.conf has none of this name.
sub kernel_setting {
    my ($self, $at, $name, $value) = @_;
    if ($name eq 'use_srq') {
        $self->setting($name, $value =~ /\A(?:1|y|on|true)/i ? 'true' : 'false');
    } elsif ($name eq 'srpt_service_guid') {
        $self->_guid_setting($at, $name, $value);
    } elsif (my $range = $range_of{$name}) {
        $self->_number_setting($at, $name, $value, $range);
    } else {
        return 0;
    }
    return 1;
}

sub _guid_setting {
    my ($self, $at, $name, $value) = @_;
    if ($value =~ /\A(?:0x)?([0-9a-f]{1,16})\z/i) {
        $self->setting($name, sprintf '"%s"', lc substr "0000000000000000$1", -16);
    } else {
        $self->setting_remark($at, "$name " . printable($value) . ' is not a GUID of 16 hexadecimal digits; left out');
    }
    return;
}

sub _number_setting {
    my ($self, $at, $name, $value, $range) = @_;
    my ($least, $most) = @$range;
    my $number = $value =~ /\A0x[0-9a-f]{1,8}\z/i ? hex $value : $value;
    return if $name eq 'rdma_cm_port' && $number =~ /\A0*\z/;  # ib_srpt's word for no RDMA/CM; the default will do
    if ($number !~ /\A\d{1,9}\z/ || $number < $least || $number > $most) {
        my $shown = printable($value);
        $self->setting_remark($at, "$name $shown is not between $least and $most, as it must be; left out");
        return;
    }
    $self->setting($name, $number + 0);
    return;
}

sub setting_remark {
    my ($self, $at, $text) = @_;
    $self->remark({comments => $self->{setting_comments}}, $at, $text);
    return;
}

# ---- what can be decided only when all is known ----

sub finish {
    my ($self) = @_;
    $self->_number_units($_) for @{$self->{targets}};
    $self->_tell_paths_apart($_) for @{$self->{targets}};
    $self->_share_stores;
    return;
}

# LUN 0 of a tgt target is its own controller. Other units keep their numbers.
sub _number_units {
    my ($self, $target) = @_;
    my %used = map { $_->{lun} => 1 } @{$target->{units}};
    for my $unit (grep { $_->{lun} == 0 } @{$target->{units}}) {
        my $lun = 1;
        $lun++ while $used{$lun};
        $used{$lun} = 1;
        $unit->{lun} = $lun;
        $self->remark($unit, $unit->{at}, "LUN 0 has become LUN $lun: LUN 0 of a tgt target is its controller");
    }
    return;
}

# tgt-admin takes two units of a target with the same path for one. A path with '/./' in it names the same file.
sub _tell_paths_apart {
    my ($self, $target) = @_;
    my %seen;
    for my $unit (grep { !$_->{off} } @{$target->{units}}) {
        $unit->{store} = $unit->{path};
        $unit->{path} =~ s{/([^/]*)\z}{/./$1} while $seen{$unit->{path}}++;
    }
    return;
}

# tgt-admin refuses a store that is open already, also when it was tgtd itself that opened it.
sub _share_stores {
    my ($self) = @_;
    my %units_of;
    push @{$units_of{$_->{store}}}, $_ for grep { !$_->{off} } map { @{$_->{units}} } @{$self->{targets}};
    for my $path (sort keys %units_of) {
        my @units = @{$units_of{$path}};
        next if @units == 1 && $path ne '/dev/null';
        $self->option($_, 'allow-in-use', 'yes') for @units;
        next if $path eq '/dev/null';
        my $count = @units;
        $self->remark($units[0], $units[0]{at}, "$count units share this store, and each has reservations of its own: "
            . 'initiators that reserve it, as those of a cluster do, must all use the same unit');
    }
    return;
}

1;
