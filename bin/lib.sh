# What bin/run and bin/test share: finding what they need beyond Rust, and installing it where they may.
# Sourced, not run. Needs $root.

say() { printf '\033[1m== %s\033[0m\n' "$*"; }

# need COMMAND DEBIAN-PACKAGES MACOS-COMMAND: installs on Debian as root; elsewhere names the command to type and ends.
need() {
  command -v "$1" >/dev/null 2>&1 && return 0
  if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ]; then
      say "installing $2"
      if [ -z "${apt_updated:-}" ]; then apt-get update -qq >/dev/null; apt_updated=1; fi
      # shellcheck disable=SC2086 # a list of packages
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $2 >/dev/null
      command -v "$1" >/dev/null 2>&1 && return 0
    fi
    echo "$1 is missing: type  sudo apt-get install $2" >&2
  else
    echo "$1 is missing: type  $3" >&2
  fi
  exit 1
}

need_rust() {
  command -v cargo >/dev/null 2>&1 || {
    echo "cargo is missing: install Rust 1.91 or later, see https://rustup.rs" >&2
    exit 1
  }
  # jemalloc and the compressed frames' tests build C.
  need cc "gcc libc6-dev" "xcode-select --install"
  need make make "xcode-select --install"
}

# A proxy that lets no WebSocket through. Debian puts it where only root's PATH leads.
need_nginx() {
  PATH=$PATH:/usr/sbin
  need nginx nginx-light "brew install nginx"
}

# The servers where nodes meet. The tests start their own, on free ports; a service of Debian's is not used.
need_brokers() {
  PATH=$PATH:/usr/sbin
  need redis-server redis-server "brew install redis"
  need nats-server nats-server "brew install nats-server"
}

# The programs of PostgreSQL. Debian keeps them out of the PATH, and creates and starts a server of its own with them,
# unless the configuration of postgresql-common forbids it; the tests start their own, on free ports.
need_postgres() {
  postgres_in_path
  if ! command -v initdb >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    need pg_createcluster postgresql-common ""
    sed -i "s/^#*create_main_cluster.*/create_main_cluster = false/" /etc/postgresql-common/createcluster.conf
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null
    postgres_in_path
  fi
  need initdb postgresql "brew install postgresql@16"
}

postgres_in_path() {
  for folder in "${POSTGRES_BIN:-}" /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin; do
    if [ -x "$folder/initdb" ]; then PATH=$PATH:$folder; fi
  done
}

# need_node VERSION: at least that.
need_node() {
  need node "nodejs npm" "brew install node"
  need npm npm "brew install node"
  major=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
  if [ "$major" -lt "$1" ]; then
    echo "node $(node --version) is too old: version $1 or later is needed" >&2
    exit 1
  fi
}

# node_modules DIRECTORY: installs what its lock file names, unless that is there already.
node_modules() {
  if [ ! -e "$1/node_modules/.package-lock.json" ] || [ "$1/package-lock.json" -nt "$1/node_modules/.package-lock.json" ]; then
    say "npm ci in ${1#"$root"/}"
    npm ci --prefix "$1" --no-audit --no-fund --loglevel=error
  fi
}

# python_venv DIRECTORY REQUIREMENTS: an environment with what the file names.
python_venv() {
  need python3 "python3 python3-venv" "brew install python"
  if [ ! -x "$1/bin/python" ]; then
    if ! python3 -c 'import ensurepip' 2>/dev/null; then
      if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get install -y -qq python3-venv >/dev/null
      else
        echo "python3 cannot make environments: type  sudo apt-get install python3-venv" >&2
        exit 1
      fi
    fi
    python3 -m venv "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check -r "$2"
  fi
}
