# What a phone is and how it is, in sections that nothing on the phone can forge:
#     TOKEN name
#     what the command printed, its errors too
#     TOKEN end CODE
# and after the last one `TOKEN complete COUNT`. TOKEN is new for every session, in hexadecimal.
#
#     sh state.sh TOKEN record            everything a device record needs
#     sh state.sh TOKEN state             what decides whether to measure now
#     sh state.sh TOKEN watch SECONDS     the state again and again, until standard input ends
#
# Only the shell's builtins, cat, kill and sleep are needed; getprop, dumpsys, uname, getconf and df are asked if there.
# Runs in mksh, dash and ash.

sys=/sys
proc=/proc
cpu=$sys/devices/system/cpu
thermal=$sys/class/thermal
battery=$sys/class/power_supply/battery

case $0 in
*/*) folder=${0%/*} ;;
*) folder=. ;;
esac

usage() {
    echo 'usage: sh state.sh TOKEN record|state|watch SECONDS' >&2
    exit 64
}

section() {
    echo "$token $1"
    shift
    "$@" </dev/null 2>&1
    code=$?
    # What was printed may lack its last line end.
    echo
    echo "$token end $code"
    count=$((count + 1))
}

# Files of one line each as `head` prints several. One that is not there is left out, one that is refused shows why.
show() {
    for path; do
        value=
        # Reading without a process of its own keeps the phone cool; cat tells the reason in words of the kernel.
        if { IFS= read -r value <"$path"; } 2>/dev/null; then
            case $value in
            *[!A-Za-z0-9\ .,:_+-]*) ;;
            *)
                echo "==> $path <=="
                echo "$value"
                continue
                ;;
            esac
        fi
        refused=$(cat "$path" 2>&1 >/dev/null)
        case $refused in
        *'No such file or directory'*) continue ;;
        esac
        echo
        echo "==> $path <=="
        cat "$path" 2>&1
        echo
    done
    return 0
}

# A folder that may not be listed looks empty: say so.
listable() {
    [ -r "$1" ] || cat "$1"
}

# The folder of each clock, by policy where the kernel has them, else by core.
clock_folders() {
    for folder_of_clock in "$cpu"/cpufreq/policy[0-9]*; do
        [ -d "$folder_of_clock" ] && return 0
    done
    return 1
}

clocks() {
    if clock_folders; then
        for file; do show "$cpu"/cpufreq/policy[0-9]*/"$file"; done
    else
        for file; do show "$cpu"/cpu[0-9]*/cpufreq/"$file"; done
    fi
}

cores() {
    listable "$cpu"
    show "$cpu/possible" "$cpu/present" "$cpu/online"
    show "$cpu"/cpu[0-9]*/cpu_capacity
    clocks related_cpus affected_cpus cpuinfo_min_freq cpuinfo_max_freq scaling_max_freq scaling_cur_freq scaling_governor \
        scaling_available_frequencies
}

current_clocks() {
    show "$cpu/online"
    clocks related_cpus affected_cpus scaling_cur_freq scaling_max_freq
}

kernel() {
    uname -a || cat "$proc/version"
}

page_size() {
    getconf PAGE_SIZE 2>/dev/null && return 0
    while read -r name size unit; do
        [ "$name $unit" = 'KernelPageSize: kB' ] || continue
        case $size in
        '' | *[!0-9]*) return 1 ;;
        esac
        echo $((size * 1024))
        return 0
    done <"$proc/self/smaps"
    return 1
}

zones() {
    listable "$thermal"
    show "$thermal"/thermal_zone[0-9]*/type "$thermal"/thermal_zone[0-9]*/temp
}

supply() {
    show "$battery/capacity" "$battery/status" "$battery/temp"
}

record() {
    count=0
    section getprop getprop
    section uname kernel
    section cpuinfo cat "$proc/cpuinfo"
    section meminfo cat "$proc/meminfo"
    section sysfs cores
    section page_size page_size
    section loadavg cat "$proc/loadavg"
    section process_status cat "$proc/self/status"
    section boot_id cat "$proc/sys/kernel/random/boot_id"
    section cpuset cat "$proc/self/cpuset"
    echo "$token complete $count"
}

state() {
    count=0
    section thermalservice dumpsys thermalservice
    section battery dumpsys battery
    section power_supply supply
    section thermal_zones zones
    section clocks current_clocks
    section df df "$folder"
    echo "$token complete $count"
}

watch() {
    # In the background a shell takes away standard input unless it has another number.
    exec 3<&0
    (
        cat <&3 >/dev/null 2>&1
        kill $$
    ) >/dev/null 2>&1 &
    exec 3<&-
    while :; do
        state
        sleep "$1" >/dev/null 2>&1 || exit 1
    done
}

token=$1
case $token in
'' | *[!0-9a-f]*) usage ;;
esac
case $2:$# in
record:2) record ;;
state:2) state ;;
watch:3)
    case $3 in
    '' | *[!0-9]*) usage ;;
    esac
    watch "$3"
    ;;
*) usage ;;
esac
