#!/bin/sh
# A real Apache Kafka for the end-to-end tests and for trying things by hand.
#
#   scripts/kafka.sh fetch                 get Kafka and what it needs from Maven Central, once (about 45 MB)
#   scripts/kafka.sh present               whether that has been done
#   scripts/kafka.sh run DIR PORT CONTROLLER_PORT [SECURE_PORT]
#                                          run one broker on loopback in the foreground, its data in DIR (4.x only)
#   scripts/kafka.sh broker FILE           run a broker as a server.properties says
#   scripts/kafka.sh zookeeper FILE        run a ZooKeeper node as a zoo.cfg says (3.x only)
#   scripts/kafka.sh topics | groups | configs | delete-records ARGUMENT...
#                                          Kafka's own tools, as kafka-topics, kafka-consumer-groups and kafka-configs
#
# KAFKA_VERSION says which: 4.1.1 unless it is set; the tests also take 3.5.2, which runs on ZooKeeper.
# KAFKA_HEAP are the Java options for memory.
#
# The broker of `run` is a cluster of its own (KRaft, broker and controller in one process) with a small heap. It creates
# topics when they are first used, with three partitions. A DIR that was used before keeps its data.
# Three brokers on three ZooKeeper nodes are put together in tests/kafka_stack.py.
#
# With SECURE_PORT there is a second listener with TLS and SASL (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, and
# OAUTHBEARER with unsigned tokens). DIR must hold `broker.pem` (key and certificate) and `ca.pem`; clients that have a
# certificate of that authority may show it, and their user is `skywatch` with the password `correct-horse`.
#
# Kafka is kept in $SKYWATCH_KAFKA_DIR (~/.cache/skywatch/kafka-VERSION). Needs Java 17 or newer, and Maven for `fetch`.
set -eu

VERSION=${KAFKA_VERSION:-4.1.1}
HOME_DIR=${SKYWATCH_KAFKA_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/skywatch/kafka-$VERSION}
HEAP=${KAFKA_HEAP:--Xms96m -Xmx256m}
USER_NAME=skywatch
PASSWORD=correct-horse

die() { echo "kafka: $*" >&2; exit 1; }

present() { [ -e "$HOME_DIR/complete" ]; }

is_3() { case $VERSION in 3.*) true ;; *) false ;; esac }

# The tools are an artefact of their own since 4.0; what it needs is there already.
tools_artefact() {
    is_3 && return 0
    cat <<POM
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>$VERSION</version>
      <exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>
    </dependency>
POM
}

fetch() {
    present && return 0
    command -v mvn >/dev/null || die "mvn is missing: apt-get install maven"
    rm -rf "$HOME_DIR"
    mkdir -p "$HOME_DIR/libs"
    cat >"$HOME_DIR/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>skywatch.tests</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>$VERSION</version>
    </dependency>
$(tools_artefact)
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
POM
    mvn -B -q -f "$HOME_DIR/pom.xml" dependency:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$HOME_DIR/libs" >"$HOME_DIR/fetch.log" 2>&1 ||
        die "Maven could not fetch Kafka $VERSION: $(tail -n 3 "$HOME_DIR/fetch.log")"
    : >"$HOME_DIR/complete"
}

# Kafka's program, in place of this shell, so that its process is the one the caller knows.
java_main() { # main-class argument...
    present || die "Kafka $VERSION is not there; run: KAFKA_VERSION=$VERSION $0 fetch"
    # shellcheck disable=SC2086 # several options
    exec java $HEAP -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto \
        -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dzookeeper.admin.enableServer=false \
        -cp "$HOME_DIR/libs/*" "$@"
}

secure_listener() { # port
    cat <<SECURE
listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_$USER_NAME="$PASSWORD";
listener.name.secure.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location=$DIR/broker.pem
listener.name.secure.ssl.truststore.type=PEM
listener.name.secure.ssl.truststore.location=$DIR/ca.pem
listener.name.secure.ssl.client.auth=requested
SECURE
}

configure() { # port controller-port [secure-port]
    listeners="PLAIN://127.0.0.1:$1"
    [ -z "${3:-}" ] || listeners="$listeners,SECURE://127.0.0.1:$3"
    cat >"$DIR/server.properties" <<CONFIG
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$2
controller.listener.names=CONTROLLER
listeners=$listeners,CONTROLLER://127.0.0.1:$2
advertised.listeners=$listeners
listener.security.protocol.map=PLAIN:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAIN
log.dirs=$DIR/data
num.partitions=3
auto.create.topics.enable=true
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
num.network.threads=2
num.io.threads=2
log.cleaner.enable=false
CONFIG
    [ -z "${3:-}" ] || secure_listener >>"$DIR/server.properties"
}

run() { # dir port controller-port [secure-port]
    [ $# -ge 3 ] || die "usage: $0 run DIR PORT CONTROLLER_PORT [SECURE_PORT]"
    ! is_3 || die "run is for Kafka 4: this is $VERSION"
    mkdir -p "$1"
    DIR=$(cd "$1" && pwd)
    shift
    configure "$@"
    if [ ! -e "$DIR/data/meta.properties" ]; then
        (java_main kafka.tools.StorageTool format --config "$DIR/server.properties" --cluster-id c2t5d2F0Y2gta2Fma2EtMQ \
            --add-scram "SCRAM-SHA-256=[name=$USER_NAME,password=$PASSWORD]" \
            --add-scram "SCRAM-SHA-512=[name=$USER_NAME,password=$PASSWORD]") || die "the data directory could not be made"
    fi
    java_main kafka.Kafka "$DIR/server.properties"
}

# Where the tools live moved with Kafka 4.
if is_3; then
    TOPICS=kafka.admin.TopicCommand GROUPS_TOOL=kafka.admin.ConsumerGroupCommand DELETE=kafka.admin.DeleteRecordsCommand
else
    TOPICS=org.apache.kafka.tools.TopicCommand GROUPS_TOOL=org.apache.kafka.tools.consumer.group.ConsumerGroupCommand
    DELETE=org.apache.kafka.tools.DeleteRecordsCommand
fi

case ${1:-} in
fetch) fetch ;;
present) present ;;
run) shift && run "$@" ;;
broker) shift && java_main kafka.Kafka "$@" ;;
zookeeper) shift && java_main org.apache.zookeeper.server.quorum.QuorumPeerMain "$@" ;;
topics) shift && java_main "$TOPICS" "$@" ;;
groups) shift && java_main "$GROUPS_TOOL" "$@" ;;
configs) shift && java_main kafka.admin.ConfigCommand "$@" ;;
delete-records) shift && java_main "$DELETE" "$@" ;;
*) die "usage: $0 fetch | present | run DIR PORT CONTROLLER_PORT [SECURE_PORT] | broker FILE | zookeeper FILE | topics ... | groups ... | configs ... | delete-records ..." ;;
esac
