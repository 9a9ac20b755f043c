# p-values of the bootstrap by inverting intervals, as boot.pval does (it is not needed): the smallest alpha at which
# the interval of confidence 1 - alpha leaves out 0, found by halving; quantiles as boot:::norm.inter has them, BCa as
# boot:::bca.ci. Run: Rscript semfit/tests/reference/bootstrap_p.R (from the root). Makes bootstrap_p.json.
suppressMessages(library(jsonlite))
quantile_at <- function(sorted, level) {
  n <- length(sorted)
  k <- (n + 1) * level
  lower <- floor(k)
  if (lower < 1) return(sorted[1])
  if (lower >= n) return(sorted[n])
  a <- qnorm(lower / (n + 1)); b <- qnorm((lower + 1) / (n + 1))
  sorted[lower] + (qnorm(level) - a) / (b - a) * (sorted[lower + 1] - sorted[lower])
}
interval <- function(t, alpha, t0, a, bca) {
  z0 <- if (bca) qnorm(mean(t < t0)) else 0
  level <- function(p) { z <- z0 + qnorm(p); if (bca) pnorm(z0 + z / (1 - a * z)) else p }
  c(quantile_at(t, level(alpha / 2)), quantile_at(t, level(1 - alpha / 2)))
}
p_of <- function(t, t0, a, bca) {
  outside <- function(alpha) { i <- interval(t, alpha, t0, a, bca); i[1] > 0 || i[2] < 0 }
  low <- 2 / (length(t) + 1); high <- 1 - 1e-12
  if (outside(low)) return(low)
  for (step in 1:60) { middle <- (low + high) / 2; if (outside(middle)) high <- middle else low <- middle }
  high
}
set.seed(9)
cases <- list()
for (case in list(c(.3, .2, 0), c(.1, .2, .05), c(-.25, .12, -.08), c(.02, .3, .1), c(.5, .1, .02), c(.35, .16, .04))) {
  t <- signif(sort(case[1] + case[2] * (rexp(499) - .8) + rnorm(499, sd = .05)), 10)
  cases[[length(cases) + 1]] <- list(draws = t, estimate = case[1], acceleration = case[3],
    p = p_of(t, case[1], case[3], FALSE), bca_p = p_of(t, case[1], case[3], TRUE))
}
write_json(cases, "semfit/tests/reference/bootstrap_p.json", digits = I(12), auto_unbox = TRUE)
writeLines(capture.output(sessionInfo()), "semfit/tests/reference/bootstrap_p_sessionInfo.txt")
