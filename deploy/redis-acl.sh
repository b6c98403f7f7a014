#!/bin/sh
# Prints what ValueCanvas may do in Redis (6.2 or newer) or Valkey: the commands that it sends, on
# its own keys and channels. REDIS_PREFIX is that of its settings.
#   deploy/redis-acl.sh                              the rules, as ACL SETUSER takes them
#   deploy/redis-acl.sh PASSWORD_FILE APP_PASSWORD_FILE
#     an ACL file of two users: 'default' is yours, with every right; 'valuecanvas'
set -eu
prefix=${REDIS_PREFIX:-vc}
rules="resetkeys resetchannels -@all"
# -rehearsal: the trial of a restored backup.
for own in "$prefix" "$prefix-rehearsal"; do
  # Channels that are asked for as a pattern are compared as texts; /0 is the database.
  rules="$rules ~$own:* &$own:* &$own:celery:/0.celery.pidbox &$own:celery:/0.celeryev/worker.*"
done
# Connections, and the page Status.
rules="$rules +ping +client|setinfo +info +cluster|info"
# Scripts; what they do needs its own rights. Breakers, limits, leads of shared calls:
rules="$rules +eval +evalsha +script|load +script|exists +time +hget +hmget +hgetall +hset +hdel"
rules="$rules +pexpire +pttl +zadd +zcard +zrange +zrem +zremrangebyscore"
# Stored answers, Django's cache, counters.
rules="$rules +get +mget +set +del +exists +incrby +ttl"
# Messages between gateways.
rules="$rules +publish +subscribe +unsubscribe +pubsub|numsub"
# Celery: queues, messages that are not confirmed yet, messages between workers.
rules="$rules +lpush +rpush +rpop +brpop +llen +sadd +srem +smembers +hlen +zrangebyscore"
rules="$rules +multi +exec +watch +unwatch +psubscribe +punsubscribe"
if [ $# -eq 0 ]; then
  echo "$rules"
  exit
fi
hash() {
  printf %s "$(cat "$1")" | sha256sum | cut -c 1-64
}
echo "user default on #$(hash "$1") ~* &* +@all"
echo "user valuecanvas on #$(hash "$2") $rules"
