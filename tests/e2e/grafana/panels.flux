# Queries of panels as Grafana's users write them in Flux, and the frames that the panel must be given.
# A query ends where its frames begin; those are indented by four.
# Times are seconds after the dashboard's begin; columns are in the order of their names.

## graph of a mean
from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r["_measurement"] == "cpu")
  |> filter(fn: (r) => r["_field"] == "usage")
  |> aggregateWindow(every: v.windowPeriod, fn: mean, createEmpty: false)
  |> yield(name: "mean")
    cpu usage{host=a,region=eu/1.2}: 60=11 120=21 240=41 300=51
    cpu usage{host=b,region=eu/1.2}: 60=50 120=40 180=30 240=20 300=10
    cpu usage{host=c 3,region=us-west}: 60=0.25 120=3.25 180=10.25 240=21.25 300=36.25

## gaps stay gaps
from(bucket: v.defaultBucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "cpu" and r._field == "usage" and r.host == "a")
  |> aggregateWindow(every: v.windowPeriod, fn: mean)
    cpu usage{host=a,region=eu/1.2}: 60=11 120=21 180=null 240=41 300=51

## gaps are filled
from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "cpu" and r._field == "usage" and r.host == "a")
  |> aggregateWindow(every: v.windowPeriod, fn: mean)
  |> fill(usePrevious: true)
    cpu usage{host=a,region=eu/1.2}: 60=11 120=21 180=21 240=41 300=51

## several hosts chosen in a variable, by a pattern
from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "cpu" and r._field == "usage" and r.host =~ /^(b|c 3)$/)
  |> aggregateWindow(every: $__interval, fn: max, createEmpty: false)
    cpu usage{host=b,region=eu/1.2}: 60=50 120=40 180=30 240=20 300=10
    cpu usage{host=c 3,region=us-west}: 60=0.5 120=4.5 180=12.5 240=24.5 300=40.5

## several hosts chosen in a variable, as a list
from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "cpu" and r._field == "usage")
  |> filter(fn: (r) => contains(value: r.host, set: ["b","c 3"]))
  |> last()
    cpu usage{host=b,region=eu/1.2}: 240=10
    cpu usage{host=c 3,region=us-west}: 270=40.5

## per cent used from per cent idle
from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "cpu" and r._field == "usage" and r.host == "b")
  |> map(fn: (r) => ({r with _value: r._value * -1.0 + 100.0}))
    cpu usage{host=b,region=eu/1.2}: 0=50 60=60 120=70 180=80 240=90

## one line for each region
from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "cpu" and r._field == "usage")
  |> group(columns: ["region"])
  |> aggregateWindow(every: 5m, fn: sum)
    Value{region=eu/1.2}: 180=216 300=306
    Value{region=us-west}: 180=27.5 300=115

## a counter's rate, without its reset
from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "cpu" and r._field == "n" and r.host == "b")
  |> derivative(unit: 1m, nonNegative: true)
    cpu n{host=b,region=eu/1.2}: 60=1 120=1 180=1 240=1

## increase
from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "cpu" and r._field == "n" and r.host == "b")
  |> increase()
    cpu n{host=b,region=eu/1.2}: 0=0 60=1 120=2 180=3 240=4

## fields side by side in a table
from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "cpu" and r.host == "a" and r._field =~ /^(usage|n|ok)$/)
  |> filter(fn: (r) => r._time < 2023-07-22T04:28:00Z)
  |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
  |> group()
  |> keep(columns: ["_time", "host", "n", "ok", "usage"])
    : _time=0,20,40 host=a,a,a n=100,107,114 ok=true,false,true usage=10,11,12

## a table of texts with the newest first
from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "cpu" and r._field == "state")
  |> group()
  |> sort(columns: ["_time"], desc: true)
  |> limit(n: 2)
  |> keep(columns: ["_time", "_value", "host"])
    Value: 270="up 9" 240="up 8"

## annotations
from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "events")
  |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
  |> drop(columns: ["_start", "_stop", "_measurement"])
  |> rename(columns: {timeEnd: "until"})
    : _time=100,200 tags=release,web,ops text="version 2","host b" title=deploy,reboot until=1.69000018e+12,1.69000029e+12

## busiest hosts
from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "cpu" and r._field == "usage")
  |> mean()
  |> group()
  |> top(n: 2)
  |> keep(columns: ["host", "_value"])
  |> rename(columns: {_value: "usage"})
    : host=a,b usage=31,30

## two series divided
usage = from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "cpu" and r._field == "usage" and r.host == "b")
n = from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "cpu" and r._field == "n" and r.host == "b")
join(tables: {u: usage, n: n}, on: ["_time", "host"])
  |> map(fn: (r) => ({_time: r._time, _value: r._value_u / float(v: r._value_n + 1), host: r.host}))
    Value{host=b}: 0=50 60=20 120=10 180=5 240=2

## thresholds in words
from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "cpu" and r._field == "usage" and r.host == "b")
  |> map(fn: (r) => ({_time: r._time, _value: if r._value > 35.0 then "high" else if r._value > 15.0 then "fair" else "low"}))
    Value: 0=high 60=high 120=fair 180=fair 240=low

## quantiles of all, and how many
import "math"
data = from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "cpu" and r._field == "usage")
  |> group()
union(tables: [
  data |> quantile(q: 0.5, method: "exact_mean") |> set(key: "what", value: "median"),
  data |> max() |> set(key: "what", value: "most") |> keep(columns: ["_value", "what"]),
  data |> mean() |> map(fn: (r) => ({r with _value: math.floor(x: r._value)})) |> set(key: "what", value: "mean"),
])
  |> group()
  |> sort(columns: ["what"])
    : _value=24,21,52 what=mean,median,most

## a moving average over the graph
from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "cpu" and r._field == "usage" and r.host == "b")
  |> movingAverage(n: 2)
    cpu usage{host=b,region=eu/1.2}: 60=45 120=35 180=25 240=15

## the last value alone, for a stat panel and for alerts
from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "cpu.load.short")
  |> last()
  |> keep(columns: ["_time", "_value", "host"])
    Value{host=a}: 240=4

## yesterday beside today
from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "cpu" and r._field == "usage" and r.host == "b")
  |> timeShift(duration: 1m)
    cpu usage{host=b,region=eu/1.2}: 60=50 120=40 180=30 240=20 300=10

## names with spaces and dots
from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "disk io" and r._field == "bytes")
  |> sum()
  |> group()
    : _field=bytes,bytes _measurement="disk io","disk io" _value=10240,10240 host=a,b
