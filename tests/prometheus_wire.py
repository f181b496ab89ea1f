"""Prometheus' remote read and write messages, made and read by hand: snappy blocks of protobuf."""

import struct

import cramjam


def varint(number):
    number &= (1 << 64) - 1
    encoded = b""
    while number > 127:
        encoded += bytes([number & 127 | 128])
        number >>= 7
    return encoded + bytes([number])


def field_bytes(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def label(name, value):
    return field_bytes(1, name.encode()) + field_bytes(2, value.encode())


def sample(value, time_ms):
    return varint(1 << 3 | 1) + struct.pack("<d", value) + varint(2 << 3) + varint(time_ms)


def write_request(*series):
    """`series` are pairs of labels (a dictionary) and samples (pairs of value and milliseconds)."""
    message = b""
    for labels, samples in series:
        parts = [field_bytes(1, label(*pair)) for pair in labels.items()]
        parts += [field_bytes(2, sample(*pair)) for pair in samples]
        message += field_bytes(1, b"".join(parts))
    return pack(message)


EQ, NEQ, RE, NRE = range(4)


def read_request(*queries):
    """`queries` are triples of start and end in milliseconds and matchers (type, name, value)."""
    message = b""
    for start, end, matchers in queries:
        query = varint(1 << 3) + varint(start) + varint(2 << 3) + varint(end)
        for kind, name, value in matchers:
            matcher = varint(1 << 3) + varint(kind) + field_bytes(2, name.encode()) + field_bytes(3, value.encode())
            query += field_bytes(3, matcher)
        message += field_bytes(1, query)
    return pack(message)


def pack(message):
    return bytes(cramjam.snappy.compress_raw(message))


def fields(message):
    """The fields of a message: pairs of number and content."""
    at = 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = number()
        if key & 7 == 0:
            content = number()
            content -= (content >> 63) << 64
        elif key & 7 == 1:
            (content,) = struct.unpack("<d", message[at : at + 8])
            at += 8
        else:
            assert key & 7 == 2, key
            length = number()
            content = message[at : at + length]
            at += length
        yield key >> 3, content


def read_response(body):
    """For each query its series: pairs of labels (sorted, as written) and samples."""
    results = []
    for _, result in fields(bytes(cramjam.snappy.decompress_raw(body))):
        found = []
        for _, series in fields(result):
            labels, samples = [], []
            for number, content in fields(series):
                parts = dict(fields(content))
                if number == 1:
                    labels.append((parts[1].decode(), parts[2].decode()))
                else:
                    samples.append((parts.get(1, 0.0), parts.get(2, 0)))
            found.append((labels, samples))
        results.append(found)
    return results
