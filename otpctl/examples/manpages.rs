fn main(){ let d=std::env::args().nth(1).unwrap(); std::fs::write(format!("{d}/otpctl.1"), ".TH otpctl 1\n.SH NAME\notpctl \\- x\n").unwrap(); }
