# Sourced by ./run and ./test: installs the Debian packages of tools/packages.txt that are missing.
# Asks for root only when something is.

packages_missing() { # PURPOSE...
	local purpose name
	while read -r purpose name; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
	done < <(awk -v wanted=" $* " '/^[a-z]/ && index(wanted, " " $1 " ") {print $1, $2}' tools/packages.txt)
}

packages_need() { # PURPOSE...
	local missing as_root=()
	missing=$(packages_missing "$@" | tr '\n' ' ')
	[ -n "$missing" ] || return 0
	if ! command -v apt-get >/dev/null; then
		echo "these packages are missing, and apt-get is not here to install them: $missing" >&2
		return 1
	fi
	[ "$(id -u)" = 0 ] || as_root=(sudo)
	echo "installing from Debian: $missing" >&2
	local log status=0 policy=/usr/sbin/policy-rc.d
	log=$(mktemp)
	# a test server's package must not start a service on the user's machine: tests start their own
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
		"${as_root[@]}" chmod 755 $policy
	else
		policy=
	fi
	# shellcheck disable=SC2086 # one word a package
	{ "${as_root[@]}" apt-get update -qq &&
		"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1 || status=1
	[ -z "$policy" ] || "${as_root[@]}" rm -f "$policy"
	if [ $status != 0 ]; then
		tail -n 20 "$log" >&2
		echo "could not install; the lines above say why" >&2
	fi
	rm -f "$log"
	return $status
}
