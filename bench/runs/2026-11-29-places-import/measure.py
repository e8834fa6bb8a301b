"""Imports both files three times and opens what comes of them five times; says time, processor time, peak memory."""
import subprocess, resource, time, os, sys
herd="herd"; D=""
def run(*a):
    t=time.time(); p=subprocess.Popen([herd,*a],stdout=subprocess.PIPE,stderr=subprocess.PIPE); out,err=b"",b""
    out=p.stdout.read(); err=p.stderr.read(); _,st,ru=os.wait4(p.pid,0); dt=time.time()-t
    return dt, ru.ru_utime+ru.ru_stime, ru.ru_maxrss*1024, st, out.decode(), err.decode()
for f in ("million.csv","million.osm.pbf"):
    for i in range(3):
        dt,cpu,rss,st,o,e=run("places","import",D+f,"-o",D+f+".bin","--force")
        print(f, f"wall {dt:.2f} s cpu {cpu:.2f} s peak {rss/1e6:.1f} MB file {os.path.getsize(D+f)/1e6:.1f} MB out {os.path.getsize(D+f+'.bin')/1e6:.1f} MB", e.strip(), flush=True)
    for i in range(5):
        dt,cpu,rss,st,o,e=run("places","near","34","-118","50","1","--file",D+f+".bin")
        print("  open+near", f"wall {dt:.3f} s cpu {cpu:.3f} s peak {rss/1e6:.1f} MB", st, flush=True)
dt,cpu,rss,st,o,e=run("places","near","34","-118","50","1")
print("embedded near", f"wall {dt:.3f} cpu {cpu:.3f} peak {rss/1e6:.1f} MB")
