1:/authentication failure.*rhost=\d+\.\d+\.\d+\.\d+/
2:/Failed password for (invalid user )?\w+ from/
3:/POSSIBLE BREAK-IN ATTEMPT/
4:/Received disconnect from [0-9.]+: 11/
5:/Invalid user (admin|root|oracle|test|guest)/
6:/blk_-?\d{18,}/
7:/PacketResponder [0-2] for block/
8:/writeBlock .* received exception/
9:/instruction cache parity error/
10:/data TLB error interrupt/
11:/ciod: failed to read message prefix/
12:/generating core\.\d+/
13:/machine check interrupt/
14:/session opened for user (root|cyrus|news)/
15:/ALERT exited abnormally/
16:/connection from [0-9.]+ \(.*\) at/
17:/kernel: .*(oom|Out of memory)/
18:/segfault at [0-9a-f]+ ip [0-9a-f]+/
19:/interface[- ]unmount/
20:/refused[- ]panic/
21:/checksum[- ]transfer/
22:/partition[- ]certificate/i
23:/deadlock[- ]commit/i
24:/overflow[- ]abort/i
25:/voltage[- ]expired/
26:/timeout[- ]compaction/i
27:/expired[- ]denied/
28:/quota[- ]routing/
29:/voltage[- ]carrier/
30:/leader[- ]parity/
31:/follower[- ]query/i
32:/kernel[- ]timeout/
33:/broker[- ]abort/
34:/replication[- ]vacuum/
35:/cipher[- ]leader/
36:/cipher[- ]segfault/
37:/throttle[- ]broker/
38:/index[- ]forwarded/
39:/panic[- ]voltage/
40:/replica[- ]resolver/i
41:/producer[- ]commit/i
42:/panic[- ]link/
43:/nxdomain[- ]broker/
44:/vacuum[- ]kernel/
45:/accepted[- ]slot/
46:/kernel[- ]timeout/
47:/carrier[- ]index/i
48:/eviction[- ]nxdomain/i
49:/replication[- ]zone/i
50:/sensor[- ]broker/i
51:/forwarded[- ]disk/
52:/compaction[- ]broker/i
53:/index[- ]snapshot/
54:/quota[- ]deadlock/
55:/dropped[- ]commit/
56:/cache[- ]revoked/i
57:/election[- ]unmount/i
58:/revoked[- ]login/
59:/leader[- ]blocked/i
60:/mount[- ]commit/
61:/link: disk (error|warning) code=\d+/
62:/offset: refused (error|warning) code=\d+/
63:/vacuum: compaction (error|warning) code=\d+/
64:/compaction: snapshot (error|warning) code=\d+/
65:/compaction: parity (error|warning) code=\d+/
66:/consumer: snapshot (error|warning) code=\d+/
67:/timeout: follower (error|warning) code=\d+/
68:/kernel: restore (error|warning) code=\d+/
69:/transaction: checkpoint (error|warning) code=\d+/
70:/sensor: resolver (error|warning) code=\d+/
71:/refused: parity (error|warning) code=\d+/
72:/authentication: unmount (error|warning) code=\d+/
73:/checksum: transfer (error|warning) code=\d+/
74:/session: panic (error|warning) code=\d+/
75:/restore: cache (error|warning) code=\d+/
76:/unmount: firewall (error|warning) code=\d+/
77:/nxdomain: transfer (error|warning) code=\d+/
78:/slot: voltage (error|warning) code=\d+/
79:/sensor: producer (error|warning) code=\d+/
80:/replication: consumer (error|warning) code=\d+/
81:/\bconsumer_id=[0-9a-f]{8}\b/
82:/\bcarrier_id=[0-9a-f]{8}\b/
83:/\bsegfault_id=[0-9a-f]{8}\b/
84:/\bmount_id=[0-9a-f]{8}\b/
85:/\bparity_id=[0-9a-f]{8}\b/
86:/\bresolver_id=[0-9a-f]{8}\b/
87:/\bblocked_id=[0-9a-f]{8}\b/
88:/\bconsumer_id=[0-9a-f]{8}\b/
89:/\bcheckpoint_id=[0-9a-f]{8}\b/
90:/\brebalance_id=[0-9a-f]{8}\b/
91:/\blogout_id=[0-9a-f]{8}\b/
92:/\brestore_id=[0-9a-f]{8}\b/
93:/\bthrottle_id=[0-9a-f]{8}\b/
94:/\btransfer_id=[0-9a-f]{8}\b/
95:/\bmount_id=[0-9a-f]{8}\b/
96:/session.{0,40}throttle (failed|aborted)/i
97:/neighbor.{0,40}overflow (failed|aborted)/i
98:/blocked.{0,40}rebalance (failed|aborted)/i
99:/transfer.{0,40}replica (failed|aborted)/i
100:/zone.{0,40}expired (failed|aborted)/i
