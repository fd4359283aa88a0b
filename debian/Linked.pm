package Linked;

# What is linked into the programs of this package, as cargo has resolved it. For third-party-licenses and sbom; needs no network.
use strict;
use warnings;
use Exporter 'import';
use JSON::PP;

our @EXPORT_OK = qw(packages programs linked_into target);

my $target;

# The machine that rustc builds for.
sub target {
    ($target) = map { /^host: (\S+)/ } qx(rustc -vV) unless $target;
    return $target;
}

# The crates whose programs the package has: what debian/rules builds.
sub programs {
    open my $rules, '<', 'debian/rules' or die "debian/rules: $!\n";
    my @programs = map { /cargo build --locked --release -p (\S+)/ } <$rules>;
    @programs or die "debian/rules builds nothing\n";
    return @programs;
}

# name and version => what cargo metadata says of the package, with `needs`: the names and versions it depends on.
sub packages {
    my $json = qx(cargo metadata --format-version 1 --locked --filter-platform @{[target()]});
    $? == 0 or die "cargo metadata failed\n";
    my $metadata = decode_json($json);
    my %key = map { $_->{id} => "$_->{name} $_->{version}" } @{$metadata->{packages}};
    my %package = map { $key{$_->{id}} => $_ } @{$metadata->{packages}};
    for my $node (@{$metadata->{resolve}{nodes}}) {
        # A kind that is not named is neither of the build nor of tests.
        my @normal = grep { grep { !defined $_->{kind} } @{$_->{dep_kinds}} } @{$node->{deps}};
        $package{$key{$node->{id}}}{needs} = [map { $key{$_->{pkg}} } @normal];
    }
    return %package;
}

# linked_into PROGRAM: names and versions of what is linked into it, itself among them. Macros run in the compiler and are not.
# cargo tree knows which features are asked for by this program alone.
sub linked_into {
    my @tree = qx(cargo tree --locked -p $_[0] -e normal,no-proc-macro --target @{[target()]} --prefix none --format '{p}');
    $? == 0 && @tree or die "cargo tree failed\n";
    my %linked = map { /^(\S+) v(\S+)/ ? ("$1 $2" => 1) : die "cargo tree said: $_" } @tree;
    return sort keys %linked;
}

1;
