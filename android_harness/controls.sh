# Changes to a phone's settings that make it measurable, each of which is undone.
#
#     sh controls.sh FOLDER apply CONTROL...    stay_awake, dim, fixed_performance
#     sh controls.sh FOLDER restore             puts back what is noted in FOLDER/undo
#     sh controls.sh FOLDER pending             what is noted there
#
# Prints `CONTROL OUTCOME DETAIL` lines and `done COUNT` last. Outcomes: applied, refused, restored, stuck, pending.
# A value is noted before it is changed, one file for each setting, and its note goes when the value is back. A note
# ends in a word of its own: one that is torn was never followed by a change. So this may be killed at any point.
# Needs the shell's builtins, cmd or settings, mkdir and rm. Runs in mksh, dash and ash.

set -f
# A restore that has begun goes on when the cable is pulled.
trap '' HUP PIPE

controls='stay_awake dim fixed_performance'
controls_reversed='fixed_performance dim stay_awake'

usage() {
    echo 'usage: sh controls.sh FOLDER apply CONTROL...|restore|pending' >&2
    exit 64
}

# What a control changes, in order and reversed: namespace/key/value.
steps() {
    case $1 in
    stay_awake) echo 'global/stay_on_while_plugged_in/7' ;;
    dim) echo 'system/screen_brightness_mode/0 system/screen_brightness/10' ;;
    fixed_performance) echo 'power/fixed_performance/true' ;;
    esac
}

steps_reversed() {
    reversed=
    for step in $(steps "$1"); do reversed="$step $reversed"; done
    echo "$reversed"
}

begin() {
    namespace=${1%%/*}
    key=${1#*/}
    wanted=${key#*/}
    key=${key%%/*}
    note=$undo/$key
}

# A text of the phone on one line, and without what echo would read as more than itself.
plain() {
    # shellcheck disable=SC2086 # split on purpose, to fold line ends
    set -- $1
    text=$*
    while :; do
        case $text in
        *\\*) text="${text%%\\*}/${text#*\\}" ;;
        *) break ;;
        esac
    done
    echo "$text"
}

result() {
    echo "$1 $2 $(plain "$3")"
    count=$((count + 1))
}

# Only values of this form are ever noted or put back.
sound() {
    case $1 in
    null | true | false) return 0 ;;
    '' | *[!0-9.]*) return 1 ;;
    esac
    [ ${#1} -le 20 ]
}

# Old systems have `settings`, new ones both.
by_settings() {
    said=$(cmd settings "$@" 2>&1 </dev/null) && return 0
    other=$(settings "$@" 2>&1 </dev/null) || return 1
    said=$other
}

tell() {
    case $namespace:$1 in
    power:*) said=$(cmd power set-fixed-performance-mode-enabled "$1" 2>&1 </dev/null) ;;
    *:null) by_settings delete "$namespace" "$key" ;;
    *) by_settings put "$namespace" "$key" "$1" ;;
    esac
}

ask() {
    by_settings get "$namespace" "$key" && sound "$said"
}

# Nothing tells whether fixed performance is on: its default is set, which also shows that it can be.
first_value() {
    case $namespace in
    power) tell false && said=false ;;
    *) ask ;;
    esac
}

holds() {
    case $namespace in
    power) return 0 ;;
    esac
    ask && [ "$said" = "$1" ]
}

recall() {
    old=
    end=
    { IFS=' ' read -r old end <"$note"; } 2>/dev/null
    [ "$end" = noted ] && sound "$old"
}

# The first value of a setting that was never put back stays noted.
keep() {
    recall && return 0
    rm -f "$note"
    mkdir -p "$undo" && echo "$1 noted" >"$note"
    # So that a note is not lost with the power when the change is not.
    sync
    recall && [ "$old" = "$1" ]
}

change() {
    if ! first_value; then
        reason="$key cannot be read: $said"
        return 1
    fi
    before=$said
    if ! said=$(keep "$before" 2>&1); then
        reason="the value of $key cannot be kept: $said"
        return 1
    fi
    if ! tell "$wanted"; then
        reason=$said
        return 1
    fi
    if ! holds "$wanted"; then
        reason="$key was set to $wanted and is $said"
        return 1
    fi
    changes="$changes$key $before to $wanted, "
}

put_back() {
    [ -e "$note" ] || return 0
    if recall && { [ "$namespace" = power ] || ! holds "$old"; }; then
        if ! tell "$old" || ! holds "$old"; then
            stuck="$key is not $old again: $said"
            return 1
        fi
    fi
    rm -f "$note"
    [ ! -e "$note" ]
}

put_all_back() {
    stuck=
    for step in $(steps_reversed "$1"); do
        begin "$step"
        put_back || stuck=${stuck:-"the note of $key cannot be removed"}
    done
    [ -z "$stuck" ]
}

apply() {
    changes=
    for step in $(steps "$1"); do
        begin "$step"
        if ! change; then
            put_all_back "$1" || reason="$reason; $stuck"
            result "$1" refused "$reason"
            return
        fi
    done
    result "$1" applied "${changes%, }"
}

noted() {
    for step in $(steps "$1"); do
        begin "$step"
        [ -e "$note" ] && return 0
    done
    return 1
}

restore() {
    for control in $controls_reversed; do
        noted "$control" || continue
        if put_all_back "$control"; then
            result "$control" restored ''
        else
            result "$control" stuck "$stuck"
        fi
    done
}

pending() {
    for control in $controls; do
        noted "$control" && result "$control" pending ''
    done
    return 0
}

start_time() { # the time a process was started, which tells it from a later one of the same number
    { IFS= read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
    # shellcheck disable=SC2086 # split on purpose; the name in brackets may hold blanks
    set -- ${line##*) }
    shift 19
    echo "$1"
}

# A run whose host has gone goes on: the next one waits for its end, and ends it if it hangs.
alone() {
    waited=0
    while { read -r pid started <"$undo/running"; } 2>/dev/null && [ -n "$started" ] &&
        [ "$(start_time "$pid")" = "$started" ]; do
        [ "$waited" -lt 20 ] || kill -KILL "$pid"
        waited=$((waited + 1))
        sleep 1
    done
    { mkdir -p "$undo" && echo "$$ $(start_time $$)" >"$undo/running"; } 2>/dev/null
}

[ $# -ge 2 ] || usage
[ -d "$1" ] || usage
undo=$1/undo
what=$2
shift 2
count=0
for control; do
    case $what:$control in
    apply:stay_awake | apply:dim | apply:fixed_performance) ;;
    *) usage ;;
    esac
done
alone
case $what in
apply) for control; do apply "$control"; done ;;
restore) restore ;;
pending) pending ;;
*) usage ;;
esac
rm -f "$undo/running"
echo "done $count"
