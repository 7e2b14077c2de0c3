#!/bin/sh
# Starts a runner so that it outlives the connection, and says how it goes (PROTOCOL.md, "On a device"). Written for
# mksh, dash and ash: of programs it needs env, and setsid where there is one.
#
#   sh launch.sh launch FOLDER NAME COMMAND...   starts COMMAND NAME.plan.json NAME.results.jsonl, then follows
#   sh launch.sh follow FOLDER NAME              follows one that was started before
#   sh launch.sh stop FOLDER NAME                ends one, gently if it listens
#   sh launch.sh sweep BASE KEEP...              ends and removes what earlier runs left in BASE, but the KEEP folders
#
# Following prints lines: every second `beat` and the heartbeat, and `read N` and the first line of the N-th file that
# NAME.watch names; at last `said` and the runner's last words if it failed, then `exit CODE`, `gone` (it ended without
# telling how) or `never` (it was not started).
set -f
umask 077

start_time() { # the time a running process was started, which tells it from a later one of the same number
    { IFS= read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
    # The name in brackets may hold blanks.
    # shellcheck disable=SC2086
    set -- ${line##*) }
    # One that has ended and that its parent has not asked about yet.
    case $1 in Z | X) return 1 ;; esac
    shift 19
    echo "$1"
}

alive() { # whether the process of $name.pid is still the one that was started
    pid='' started=''
    { read -r pid started <"$name.pid"; } 2>/dev/null
    case $pid in '' | *[!0-9]*) return 1 ;; esac
    [ "$(start_time "$pid")" = "$started" ]
}

ended() { # prints the last line if there is one to print
    code=''
    { read -r word code <"$name.exit"; } 2>/dev/null || return 1
    if [ "$word" != exit ] || [ -z "$code" ]; then return 1; fi
    if [ "$code" != 0 ]; then
        said=''
        { while IFS= read -r line || [ -n "$line" ]; do said=$line; done <"$name.log"; } 2>/dev/null
        echo "said $said"
    fi
    echo "exit $code"
}

run() { # becomes the runner, in an environment of its own
    echo "$$ $(start_time $$)" >"$name.pid"
    # The C library of the bundle would otherwise register a structure that old kernels and seccomp filters refuse.
    exec env -i PATH="$PATH" HOME="$folder" TMPDIR="$folder" LC_ALL=C GLIBC_TUNABLES=glibc.pthread.rseq=0 \
        "$@" "$name.plan.json" "$name.results.jsonl" >"$name.log" 2>&1 </dev/null
}

supervise() {
    trap '' HUP
    sh "$script" run "$folder" "$name" "$@"
    echo "exit $?" >"$name.exit"
}

start() {
    rm -f "$name.pid" "$name.exit" "$name.log" "$name.results.jsonl" "$name.results.jsonl.heartbeat"
    if command -v setsid >/dev/null 2>&1; then
        setsid sh "$script" supervise "$folder" "$name" "$@" </dev/null >/dev/null 2>&1 &
    else
        sh "$script" supervise "$folder" "$name" "$@" </dev/null >/dev/null 2>&1 &
    fi
}

watch() {
    number=0
    [ -e "$name.watch" ] && while IFS= read -r file; do
        { IFS= read -r value <"$file"; } 2>/dev/null && echo "read $number $value"
        number=$((number + 1))
    done <"$name.watch"
}

follow() {
    waited=0
    while :; do
        ended && return
        if alive; then
            beat=''
            { IFS= read -r beat <"$name.results.jsonl.heartbeat"; } 2>/dev/null
            echo "beat $beat"
            watch
        elif [ -e "$name.pid" ] || [ "$waited" -ge 10 ]; then
            # It may have ended between the two questions.
            sleep 1
            ended && return
            if [ -e "$name.pid" ]; then echo gone; else echo never; fi
            return
        else
            echo "beat "
        fi
        waited=$((waited + 1))
        sleep 1 || return
    done
}

stop() {
    if alive; then
        kill -TERM "$pid"
        waited=0
        while alive && [ "$waited" -lt 15 ]; do
            waited=$((waited + 1))
            sleep 1
        done
        alive && kill -KILL "$pid"
    fi
}

case $0 in
/*) script=$0 ;;
*) script=$PWD/$0 ;;
esac
verb=$1
case $verb in
sweep)
    set +f
    base=$2
    shift 2
    for folder in "$base"/work-* "$base"/run-*; do
        [ -d "$folder" ] || continue
        for keep in "$@"; do
            [ "$folder" = "$keep" ] && continue 2
        done
        for file in "$folder"/*.pid; do
            name=${file%.pid}
            stop
        done
        rm -rf "$folder"
    done
    exit 0
    ;;
esac
folder=$2
name=$3
cd "$folder" 2>/dev/null || {
    echo never
    exit 0
}
shift 3
case $verb in
launch)
    start "$@"
    follow
    ;;
run) run "$@" ;;
supervise) supervise "$@" ;;
follow) follow ;;
stop)
    stop
    follow
    ;;
*) exit 64 ;;
esac
